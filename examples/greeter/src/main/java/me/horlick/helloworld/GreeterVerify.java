package me.horlick.helloworld;

import java.nio.file.Path;
import java.util.Map;

/** Checks a ledger that an earlier load has left. Exit code 0: it holds; 1: it does not; 2: it could not be checked. */
public final class GreeterVerify {
  private GreeterVerify() {}

  public static void main(String[] arguments) throws Exception {
    Map<String, String> flags = GreeterServer.storageFlags();
    flags.put("ledger", "");
    flags.put("wait", "30");
    Options options = Options.parse("greeter verify", arguments, flags);
    if (options.text("ledger").isEmpty()) {
      System.err.println("greeter verify: say which with --ledger=FILE");
      System.exit(64);
    }
    System.exit(verify(options, Path.of(options.text("ledger"))));
  }

  static int verify(Options options, Path ledger) throws InterruptedException {
    try {
      LedgerCheck check =
          LedgerCheck.run(
              ledger,
              GreeterServer.jdbcUrl(options),
              options.text("user"),
              options.text("password"),
              options.number("wait"));
      check.print();
      return check.holds() ? 0 : 1;
    } catch (java.io.IOException | java.sql.SQLException failure) {
      System.err.println("greeter: could not check the ledger: " + failure.getMessage());
      return 2;
    }
  }
}
