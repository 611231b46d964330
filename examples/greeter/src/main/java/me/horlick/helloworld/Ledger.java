package me.horlick.helloworld;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;

/**
 * What a load was told, one line a greeting: {@code token id} when it was acknowledged, {@code token ?} when its outcome was
 * left open. A line is in the file before the next greeting of that worker starts, so the ledger survives the load's own death.
 * A token of which nothing is written was in flight when the load died, which counts as left open.
 */
final class Ledger implements AutoCloseable {
  private final BufferedWriter out;

  private Ledger(BufferedWriter out) {
    this.out = out;
  }

  static Ledger append(Path file) throws IOException {
    return new Ledger(Files.newBufferedWriter(file, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND));
  }

  void acknowledged(String token, long id) throws IOException {
    line(token + " " + Long.toUnsignedString(id));
  }

  void leftOpen(String token) throws IOException {
    line(token + " ?");
  }

  private synchronized void line(String text) throws IOException {
    out.write(text);
    out.newLine();
    out.flush();
  }

  @Override
  public synchronized void close() throws IOException {
    out.close();
  }

  /** Token to id of each acknowledged greeting. A last line that was cut short is passed over. */
  static Map<String, String> readAcknowledged(Path file) throws IOException {
    String text;
    try {
      text = Files.readString(file);
    } catch (NoSuchFileException absent) {
      throw new IOException("there is no ledger " + file);
    }
    Map<String, String> ids = new HashMap<>();
    for (String line : text.substring(0, text.lastIndexOf('\n') + 1).split("\n")) {
      int space = line.indexOf(' ');
      if (space > 0 && !line.endsWith("?")) {
        ids.put(line.substring(0, space), line.substring(space + 1));
      }
    }
    return ids;
  }
}
