//! The same dial through either adapter.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::dial::ProxyChoice;
use bowsprit::handshake::ClientRequest;
#[cfg(feature = "rustls")]
use bowsprit::tls::rustls::ClientConfig;
use bowsprit::{Config, Error, Message};

pub(crate) type Resolver = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// How to dial.
pub(crate) struct Setup {
    pub(crate) proxy: ProxyChoice,
    pub(crate) redirects: u32,
    pub(crate) basic_auth: bool,
    pub(crate) addresses: Vec<(String, Vec<SocketAddr>)>,
    pub(crate) resolver: Option<Arc<Resolver>>,
    pub(crate) unix: Option<String>,
    pub(crate) timeout: Duration,
    #[cfg(feature = "rustls")]
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            proxy: ProxyChoice::None,
            redirects: 0,
            basic_auth: false,
            addresses: Vec::new(),
            resolver: None,
            unix: None,
            timeout: Duration::from_secs(20),
            #[cfg(feature = "rustls")]
            tls: None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    Blocking,
    Tokio,
}

pub(crate) const CLIENTS: [Client; 2] = [Client::Blocking, Client::Tokio];

macro_rules! configured {
    ($connector:expr, $setup:ident) => {{
        let config = Config { handshake_timeout: Some($setup.timeout), ..Config::default() };
        let mut connector = $connector.config(config).proxy($setup.proxy).redirects($setup.redirects);
        for (host, addresses) in $setup.addresses {
            connector = connector.addresses(host, addresses);
        }
        if let Some(path) = $setup.unix {
            connector = connector.unix(path);
        }
        #[cfg(feature = "rustls")]
        if let Some(tls) = $setup.tls {
            connector = connector.tls(tls);
        }
        connector
    }};
}

impl Client {
    /// Opens a connection, and has a message echoed.
    pub(crate) fn echo(self, uri: &str, setup: Setup) -> Result<(), Error> {
        let mut request = ClientRequest::try_from(uri).expect("a URI");
        if setup.basic_auth {
            request = request.basic_auth("me", "secret").expect("a login");
        }
        match self {
            Self::Blocking => {
                let resolver = setup.resolver.clone();
                let mut connector = configured!(bowsprit::blocking::Connector::new(request), setup);
                if let Some(resolver) = resolver {
                    connector = connector.resolver(move |host, port| resolver(host, port));
                }
                let (mut ws, _) = connector.connect()?;
                ws.send("hello")?;
                assert!(matches!(ws.next()?, Some((Message::Text("hello"), _))));
                ws.close(None).map(drop)
            }
            Self::Tokio => {
                let resolver = setup.resolver.clone();
                let mut connector = configured!(bowsprit::tokio::Connector::new(request), setup);
                if let Some(resolver) = resolver {
                    connector = connector.resolver(move |host, port| {
                        let (resolver, host) = (resolver.clone(), host.to_owned());
                        Box::pin(async move {
                            tokio::task::spawn_blocking(move || resolver(&host, port))
                                .await
                                .map_err(io::Error::other)?
                        })
                    });
                }
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
                let echoed = runtime.block_on(async {
                    let (mut ws, _) = connector.connect().await?;
                    ws.send("hello").await?;
                    assert!(matches!(ws.next().await?, Some((Message::Text("hello"), _))));
                    ws.close(None).await.map(drop)
                });
                runtime.shutdown_background(); // a lookup may still be going on
                echoed
            }
        }
    }
}
