import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Many threads on a HikariCP pool of few connections. Argument: the whole URL. Prints "ok" when all held. */
public final class Pool {
  public static void main(String[] arguments) throws Exception {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(arguments[0]);
    config.setMaximumPoolSize(4);
    config.setAutoCommit(true);
    config.setTransactionIsolation("TRANSACTION_READ_COMMITTED");
    config.setConnectionInitSql("SET time_zone = '+00:00'");
    try (HikariDataSource pool = new HikariDataSource(config)) {
      try (Connection connection = pool.getConnection()) {
        connection.createStatement().execute("DROP TABLE IF EXISTS pool_rows");
        connection.createStatement().execute("CREATE TABLE pool_rows (id INT PRIMARY KEY AUTO_INCREMENT, worker INT)");
      }
      ExecutorService workers = Executors.newFixedThreadPool(12);
      List<Future<?>> all = new ArrayList<>();
      for (int worker = 0; worker < 12; worker++) {
        final int number = worker;
        all.add(workers.submit(() -> { work(pool, number); return null; }));
      }
      for (Future<?> one : all) one.get();
      workers.shutdown();
      try (Connection connection = pool.getConnection()) {
        ResultSet count = connection.createStatement().executeQuery("SELECT COUNT(*), COUNT(DISTINCT worker) FROM pool_rows");
        if (!count.next() || count.getInt(1) != 12 * 20 || count.getInt(2) != 12) throw new IllegalStateException("rows: " + count.getInt(1));
        connection.createStatement().execute("DROP TABLE pool_rows");
      }
    }
    System.out.println("ok");
  }

  private static void work(HikariDataSource pool, int worker) throws Exception {
    for (int round = 0; round < 20; round++) {
      try (Connection connection = pool.getConnection()) {
        connection.setAutoCommit(false);
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO pool_rows (worker) VALUES (?)")) {
          insert.setInt(1, worker);
          insert.executeUpdate();
          connection.commit();
          insert.executeUpdate();
          connection.rollback();
        }
        connection.setReadOnly(round % 2 == 0);  // the pool puts it back
      }
    }
  }
}
