package me.horlick.helloworld;

import io.grpc.Server;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** Serves greetings on loopback until it is stopped. */
public final class GreeterServer {
  private final GreetingsRepository greetings;
  private final ExecutorService workers;
  private final Server server;

  /** Listens at once; port 0 picks a free one. Owns {@code greetings}. */
  GreeterServer(int port, int threads, GreetingsRepository greetings) throws IOException {
    this.greetings = greetings;
    this.workers = Executors.newFixedThreadPool(threads);
    this.server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port))
            .executor(workers)
            .addService(new GreeterService(greetings))
            .build()
            .start();
  }

  int port() {
    return server.getPort();
  }

  void stop() {
    server.shutdown();
    try {
      if (!server.awaitTermination(5, TimeUnit.SECONDS)) {
        server.shutdownNow();
      }
    } catch (InterruptedException interrupted) {
      server.shutdownNow();
      Thread.currentThread().interrupt();
    }
    workers.shutdownNow();
    greetings.close();
  }

  /** The flags that say where greetings are kept, shared by the server and by a load that serves itself. */
  static Map<String, String> storageFlags() {
    Map<String, String> flags = new LinkedHashMap<>();
    flags.put("via", "jdbc"); // jdbc | vitess
    flags.put("mysql", "127.0.0.1:15306"); // vtgate's MySQL listener; the ledger is checked there in either case
    flags.put("keyspace", "test_keyspace");
    flags.put("jdbc", ""); // instead of the two: a URL
    flags.put("user", "root");
    flags.put("password", "");
    flags.put("vtgate", "127.0.0.1:15991");
    flags.put("target", ""); // a target string; empty: the keyspace's primary
    flags.put("threads", "16");
    return flags;
  }

  static String jdbcUrl(Options options) {
    return options.text("jdbc", "jdbc:mysql://" + options.text("mysql") + "/" + options.text("keyspace"));
  }

  static GreetingsRepository openStorage(Options options) {
    switch (options.text("via")) {
      case "jdbc":
        return new GreetingsRepositoryMySQL(
            jdbcUrl(options), options.text("user"), options.text("password"), options.number("threads"));
      case "vitess":
        return new GreetingsRepositoryVitess(
            options.text("vtgate"), options.text("target", options.text("keyspace") + "@primary"));
      default:
        System.err.println("--via takes jdbc or vitess, not " + options.text("via"));
        System.exit(64);
        throw new IllegalStateException();
    }
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, String> flags = storageFlags();
    flags.put("port", "50051");
    Options options = Options.parse("greeter serve", arguments, flags);
    GreetingsRepository greetings = openStorage(options);
    GreeterServer server;
    try {
      server = new GreeterServer(options.number("port"), options.number("threads"), greetings);
    } catch (IOException failure) {
      System.err.println("greeter serve: cannot listen on 127.0.0.1:" + options.text("port") + ": " + failure.getMessage());
      greetings.close();
      System.exit(1);
      return;
    }
    Runtime.getRuntime().addShutdownHook(new Thread(server::stop));
    System.out.println("greeter: serving on 127.0.0.1:" + server.port() + " via " + options.text("via"));
    server.server.awaitTermination();
  }
}
