package me.horlick.helloworld;

import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Greets from several workers through the gRPC service, keeps a ledger of what was acknowledged, then proves by SQL that each
 * such greeting is there exactly once. Exit code 0: all well; 1: the ledger is broken; 2: greetings failed or could not be
 * checked (with --allow-errors only the latter).
 */
public final class GreeterLoad {
  private static final int DEADLINE_SECONDS = 15;
  private static final long PAUSE_AFTER_ERROR_MS = 20;

  private final AtomicLong acknowledged = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLong slowestNanos = new AtomicLong();
  private final AtomicReference<String> firstFailure = new AtomicReference<>();

  private GreeterLoad() {}

  public static void main(String[] arguments) throws Exception {
    Map<String, String> flags = GreeterServer.storageFlags();
    flags.put("greeter", ""); // host:port of a server that runs; empty: this process serves too, on a free port
    flags.put("workers", "8");
    flags.put("seconds", "5");
    flags.put("ledger", ""); // appended to; empty: a new file, removed when it holds
    flags.put("allow-errors", "false");
    flags.put("verify", "true");
    flags.put("wait", "30");
    Options options = Options.parse("greeter load", arguments, flags);
    GreeterServer server = null;
    if (options.text("greeter").isEmpty()) {
      server = new GreeterServer(0, options.number("threads"), GreeterServer.openStorage(options));
    }
    boolean ownLedger = options.text("ledger").isEmpty();
    Path ledger = ownLedger ? Files.createTempFile("greetings-", ".ledger") : Path.of(options.text("ledger"));
    int code = new GreeterLoad().run(options, server == null ? options.text("greeter") : "127.0.0.1:" + server.port(), ledger);
    if (server != null) {
      server.stop();
    }
    if (ownLedger && code == 0) {
      Files.delete(ledger);
    } else if (code != 0) {
      System.out.println("greeter: the ledger is kept in " + ledger);
    }
    System.exit(code);
  }

  private int run(Options options, String address, Path ledgerFile) throws Exception {
    long start = System.nanoTime();
    ManagedChannel channel = ManagedChannelBuilder.forTarget(address).usePlaintext().build();
    try (Ledger ledger = Ledger.append(ledgerFile)) {
      long end = start + TimeUnit.SECONDS.toNanos(options.number("seconds"));
      // Tells this load's tokens from those of every other load whose ledger or rows are still about.
      String run = Long.toString(System.currentTimeMillis(), 36) + Long.toString(ProcessHandle.current().pid(), 36);
      List<Thread> workers = new ArrayList<>();
      for (int worker = 0; worker < options.number("workers"); worker++) {
        String prefix = run + "-" + worker + "-";
        Thread thread = new Thread(() -> greetUntil(end, GreeterGrpc.newBlockingStub(channel), ledger, prefix));
        thread.start();
        workers.add(thread);
      }
      for (Thread worker : workers) {
        worker.join();
      }
    } finally {
      channel.shutdownNow();
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    System.out.printf(
        "greeter: %d greetings acknowledged in %.1f s (%.0f/s) via %s, %d errors, slowest %.0f ms%n",
        acknowledged.get(), seconds, acknowledged.get() / seconds, options.text("via"), failed.get(), slowestNanos.get() / 1e6);
    if (firstFailure.get() != null) {
      System.out.println("greeter: first error: " + firstFailure.get());
    }
    int ledgerCode = options.flag("verify") ? GreeterVerify.verify(options, ledgerFile) : 0;
    boolean allowed = options.flag("allow-errors") || (failed.get() == 0 && acknowledged.get() > 0);
    return ledgerCode != 0 ? ledgerCode : allowed ? 0 : 2;
  }

  private void greetUntil(long end, GreeterGrpc.GreeterBlockingStub greeter, Ledger ledger, String prefix) {
    try {
      for (long number = 0; System.nanoTime() < end; number++) {
        greetOnce(greeter, ledger, prefix + number);
      }
    } catch (IOException failure) {
      throw new UncheckedIOException("cannot write the ledger", failure);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void greetOnce(GreeterGrpc.GreeterBlockingStub greeter, Ledger ledger, String token)
      throws IOException, InterruptedException {
    HelloRequest request = HelloRequest.newBuilder().setName("world " + token).setToken(token).build();
    long start = System.nanoTime();
    try {
      HelloReply reply = greeter.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS).sayHello(request);
      ledger.acknowledged(token, reply.getGreetingId());
      acknowledged.incrementAndGet();
    } catch (StatusRuntimeException failure) {
      ledger.leftOpen(token);
      failed.incrementAndGet();
      firstFailure.compareAndSet(null, failure.getStatus().toString().lines().findFirst().orElse(""));
      Thread.sleep(PAUSE_AFTER_ERROR_MS);
    }
    long took = System.nanoTime() - start;
    slowestNanos.accumulateAndGet(took, Math::max);
  }
}
