package me.horlick.helloworld;

import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Holds a ledger against the table: each acknowledged greeting once, under its id; none of the others twice. */
final class LedgerCheck {
  private static final int PAGE = 5000;
  private static final int SHOWN = 5;

  private final List<String> lost = new ArrayList<>();
  private final List<String> doubled = new ArrayList<>();
  private final List<String> moved = new ArrayList<>();
  private int acknowledged;
  private int unacknowledged;

  private LedgerCheck() {}

  /** Tries for {@code waitSeconds}, since the cluster may be healing just then. */
  static LedgerCheck run(Path ledger, String jdbcUrl, String user, String password, int waitSeconds)
      throws IOException, SQLException, InterruptedException {
    Map<String, String> told = Ledger.readAcknowledged(ledger);
    long end = System.nanoTime() + waitSeconds * 1_000_000_000L;
    while (true) {
      try (Connection connection = DriverManager.getConnection(jdbcUrl, user, password)) {
        return compare(told, readTable(connection));
      } catch (SQLException failure) {
        if (System.nanoTime() >= end) {
          throw failure;
        }
        Thread.sleep(200);
      }
    }
  }

  private static Map<String, List<String>> readTable(Connection connection) throws SQLException {
    Map<String, List<String>> rows = new HashMap<>();
    String last = "0";
    try (PreparedStatement page =
        connection.prepareStatement("SELECT id, token FROM greetings WHERE id > ? ORDER BY id LIMIT " + PAGE)) {
      for (int count = PAGE; count == PAGE; ) {
        count = 0;
        page.setLong(1, Long.parseLong(last));
        try (ResultSet found = page.executeQuery()) {
          while (found.next()) {
            count++;
            last = found.getString(1);
            rows.computeIfAbsent(found.getString(2), token -> new ArrayList<>(1)).add(last);
          }
        }
      }
    }
    return rows;
  }

  private static LedgerCheck compare(Map<String, String> told, Map<String, List<String>> rows) {
    LedgerCheck check = new LedgerCheck();
    check.acknowledged = told.size();
    told.forEach(
        (token, id) -> {
          List<String> ids = rows.get(token);
          if (ids == null) {
            check.lost.add(token + " (acknowledged as row " + id + ")");
          } else if (ids.size() == 1 && !ids.get(0).equals(id)) {
            check.moved.add(token + " (acknowledged as row " + id + ", found as " + ids.get(0) + ")");
          }
        });
    rows.forEach(
        (token, ids) -> {
          if (!token.isEmpty() && ids.size() > 1) {
            check.doubled.add(token + " (rows " + String.join(", ", ids) + ")");
          }
          if (!told.containsKey(token)) {
            check.unacknowledged++;
          }
        });
    return check;
  }

  boolean holds() {
    return lost.isEmpty() && doubled.isEmpty() && moved.isEmpty();
  }

  void print() {
    list("lost", lost);
    list("doubled", doubled);
    list("under another id", moved);
    System.out.printf(
        "greeter: ledger %s: %d acknowledged, %d lost, %d doubled, %d moved (%d rows beside the ledger)%n",
        holds() ? "holds" : "BROKEN", acknowledged, lost.size(), doubled.size(), moved.size(), unacknowledged);
  }

  private static void list(String what, List<String> tokens) {
    tokens.stream().limit(SHOWN).forEach(token -> System.out.println("  " + what + ": " + token));
    if (tokens.size() > SHOWN) {
      System.out.println("  " + what + ": and " + (tokens.size() - SHOWN) + " more");
    }
  }
}
