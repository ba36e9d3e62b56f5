import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.ContinuationWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketClientHandshakerFactory;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketClientProtocolHandler.ClientHandshakeStateEvent;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.codec.http.websocketx.WebSocketVersion;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketClientExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketServerExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.DeflateFrameClientExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.DeflateFrameServerExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketClientCompressionHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketServerCompressionHandler;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Random;

/**
 * A peer on Netty.
 *
 * <pre>
 * serve all|frames          port N, then one connection: each frame is echoed
 * connect PORT OFFER AGREED  sends messages and wants each back; OFFER: deflate-frame, x-webkit-deflate-frame, all
 * </pre>
 *
 * "all" is every extension that Netty has, permessage-deflate among them. What was agreed on is printed. It ends with
 * status 1 where something went wrong.
 */
public final class Peer {
    private static final int LONGEST = 8 << 20;
    private static final EventLoopGroup GROUP = new NioEventLoopGroup(1);

    /** Twenty messages, from nothing to 1 MiB: half of them text, half of them compressible. */
    private static final int[] SIZES = {
        0, 1, 5, 125, 126, 127, 1000, 4096, 65535, 65536, 1 << 20, 0, 1, 63, 300, 5000, 32768, 40000, 200000, 1 << 20
    };

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 2 && arguments[0].equals("serve")) {
            serve(arguments[1].equals("all"));
        } else if (arguments.length == 4 && arguments[0].equals("connect")) {
            connect(Integer.parseInt(arguments[1]), arguments[2], arguments[3]);
        } else {
            end(new IllegalArgumentException("what is that?"));
        }
    }

    private static void serve(boolean all) throws Exception {
        Channel listener = new ServerBootstrap()
            .group(GROUP)
            .channel(NioServerSocketChannel.class)
            .childHandler(new ChannelInitializer<SocketChannel>() {
                @Override
                protected void initChannel(SocketChannel channel) {
                    ChannelHandler extensions = all
                        ? new WebSocketServerCompressionHandler()
                        : new WebSocketServerExtensionHandler(new DeflateFrameServerExtensionHandshaker());
                    channel.pipeline().addLast(
                        new HttpServerCodec(),
                        new HttpObjectAggregator(1 << 16),
                        new Head("was offered"),
                        extensions,
                        new WebSocketServerProtocolHandler("/", null, true, LONGEST),
                        new Echo());
                }
            })
            .bind("127.0.0.1", 0).sync().channel();
        System.out.println("port " + ((InetSocketAddress) listener.localAddress()).getPort());
    }

    private static void connect(int port, String offer, String agreed) throws Exception {
        URI uri = new URI("ws://127.0.0.1:" + port + "/");
        new Bootstrap()
            .group(GROUP)
            .channel(NioSocketChannel.class)
            .handler(new ChannelInitializer<SocketChannel>() {
                @Override
                protected void initChannel(SocketChannel channel) {
                    boolean webkit = offer.startsWith("x-webkit");
                    ChannelHandler extensions = offer.equals("all")
                        ? WebSocketClientCompressionHandler.INSTANCE
                        : new WebSocketClientExtensionHandler(new DeflateFrameClientExtensionHandshaker(webkit));
                    Head head = new Head("was answered");
                    channel.pipeline().addLast(
                        new HttpClientCodec(),
                        new HttpObjectAggregator(1 << 16),
                        head,
                        extensions,
                        new WebSocketClientProtocolHandler(WebSocketClientHandshakerFactory.newHandshaker(
                            uri, WebSocketVersion.V13, null, true, new DefaultHttpHeaders(), LONGEST)),
                        new Talk(head, agreed));
                }
            })
            .connect("127.0.0.1", port).sync();
    }

    private static void end(Throwable failure) {
        if (failure != null) {
            failure.printStackTrace();
        }
        System.out.flush();
        Runtime.getRuntime().halt(failure == null ? 0 : 1);
    }

    /** Looks at the peer's Sec-WebSocket-Extensions. */
    private static final class Head extends ChannelInboundHandlerAdapter {
        private final String what;
        private String extensions;

        Head(String what) {
            this.what = what;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            if (message instanceof HttpMessage) {
                extensions = ((HttpMessage) message).headers().get("Sec-WebSocket-Extensions");
                System.out.println("netty " + what + ": " + extensions);
            }
            context.fireChannelRead(message);
        }
    }

    /** Frame by frame: what comes in fragments goes out in fragments. */
    private static final class Echo extends SimpleChannelInboundHandler<WebSocketFrame> {
        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
            context.writeAndFlush(frame.retain()).addListener(written -> {
                if (!written.isSuccess()) {
                    end(written.cause());
                }
            });
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable failure) {
            end(failure);
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            end(null);
        }
    }

    /** Sends a message after the other, and wants each back. */
    private static final class Talk extends SimpleChannelInboundHandler<WebSocketFrame> {
        private final Random random = new Random(7);
        private final Head head;
        private final String agreed;
        private int sent;
        private boolean text;
        private byte[] message;
        private ByteBuf echo = Unpooled.buffer();
        private boolean echoIsText;

        Talk(Head head, String agreed) {
            this.head = head;
            this.agreed = agreed;
        }

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) {
            if (event == ClientHandshakeStateEvent.HANDSHAKE_COMPLETE) {
                if (!String.valueOf(head.extensions).equals(agreed)) {
                    end(new AssertionError("agreed on " + head.extensions + ", not on " + agreed));
                }
                next(context);
            }
        }

        private void next(ChannelHandlerContext context) {
            if (sent == SIZES.length) {
                System.out.println("netty has " + sent + " messages back");
                context.writeAndFlush(new CloseWebSocketFrame(1000, ""));
                return;
            }
            text = sent % 2 == 0;
            message = new byte[SIZES[sent]];
            for (int at = 0; at < message.length; at++) {
                // Digits, or noise.
                message[at] = (byte) (text || sent % 4 == 1 ? '0' + at * at % 7 : random.nextInt());
            }
            // Every third in three fragments.
            int cut = sent % 3 == 2 ? message.length / 3 : message.length;
            ByteBuf first = Unpooled.wrappedBuffer(message, 0, cut);
            boolean whole = cut == message.length;
            context.write(text ? new TextWebSocketFrame(whole, 0, first) : new BinaryWebSocketFrame(whole, 0, first));
            if (!whole) {
                int middle = cut + (message.length - cut) / 2;
                context.write(new ContinuationWebSocketFrame(
                    false, 0, Unpooled.wrappedBuffer(message, cut, middle - cut)));
                context.write(new ContinuationWebSocketFrame(
                    true, 0, Unpooled.wrappedBuffer(message, middle, message.length - middle)));
            }
            context.flush();
            sent++;
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
            if (!(frame instanceof ContinuationWebSocketFrame)) {
                echoIsText = frame instanceof TextWebSocketFrame;
            }
            echo.writeBytes(frame.content());
            if (!frame.isFinalFragment()) {
                return;
            }
            if (echoIsText != text || !echo.equals(Unpooled.wrappedBuffer(message))) {
                String sample = echo.toString(0, Math.min(echo.readableBytes(), 20), StandardCharsets.ISO_8859_1);
                end(new AssertionError("message " + sent + " came back otherwise: " + sample));
            }
            echo.clear();
            next(context);
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable failure) {
            end(failure);
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            end(sent == SIZES.length ? null : new AssertionError("the connection ended behind message " + sent));
        }
    }
}
