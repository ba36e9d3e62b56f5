//! A server on loopback that goes away and comes back.

use std::time::Duration;

use bowsprit::Message;
use bowsprit::client::{ClientEvent, Reconnecting, State};
use bowsprit::tokio::Connector;
use tokio::time::sleep;

use crate::support::{Server, impatient, loses, opens, request, soon};

// FEATURE: HX7
#[tokio::test]
async fn a_server_is_killed_three_times_and_the_client_resumes_until_1000() {
    soon(async {
        let mut server = Server::start().await;
        let mut client = Reconnecting::new(Connector::new(request(&server.uri()))).backoff(impatient());
        let handle = client.handle();
        opens(&mut client).await;
        for round in 0..3 {
            handle.send(format!("{round}")).await.unwrap();
            let Some(ClientEvent::Message(message, _)) = client.next().await.unwrap() else { panic!("an echo") };
            assert_eq!(message, Message::Text(&format!("{round}")));
            let address = server.kill().await;
            // DisconnectReason, and then refused while there is no server.
            for _ in 0..3 {
                loses(&mut client).await;
            }
            assert!(handle.send("nobody").await.is_err());
            server = Server::at(address).await;
            while !matches!(client.next().await.unwrap(), Some(ClientEvent::Connected { .. })) {}
        }
        handle.send("close").await.unwrap();
        assert!(client.next().await.unwrap().is_none(), "no retry after 1000");
        assert_eq!(handle.state(), State::Ended);
        sleep(Duration::from_millis(200)).await;
        assert!(client.next().await.unwrap().is_none());
        server.kill().await;
    })
    .await;
}
