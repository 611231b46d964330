package me.horlick.helloworld;

import com.google.protobuf.ByteString;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import query.Query;
import vtgate.Vtgate;
import vtgateservice.VitessGrpc;

/** Greetings over Vitess's gRPC: the client carries the session from call to call. */
final class GreetingsRepositoryVitess implements GreetingsRepository {
  private static final int DEADLINE_SECONDS = 10;

  private final ManagedChannel channel;
  private final VitessGrpc.VitessBlockingStub vtgate;
  private final String target;

  /** {@code address} is vtgate's host:port, {@code target} a target string such as {@code test_keyspace@primary}. */
  GreetingsRepositoryVitess(String address, String target) {
    this.channel = ManagedChannelBuilder.forTarget(address).usePlaintext().build();
    this.vtgate = VitessGrpc.newBlockingStub(channel);
    this.target = target;
  }

  @Override
  public long insertGreet(String name, String token) throws StorageException {
    Transaction transaction = new Transaction();
    try {
      transaction.run("begin", Map.of());
      long id =
          transaction
              .run("INSERT INTO greetings (name, token) VALUES (:name, :token)", Map.of("name", text(name), "token", text(token)))
              .getInsertId();
      Query.QueryResult stored = transaction.run("SELECT token FROM greetings WHERE id = :id", Map.of("id", number(id)));
      if (stored.getRowsCount() != 1 || !stored.getRows(0).getValues().toStringUtf8().equals(token)) {
        throw new StorageException("row " + id + " does not hold the greeting just stored", null);
      }
      transaction.run("commit", Map.of());
      return id;
    } catch (StatusRuntimeException failure) {
      transaction.abandon();
      throw new StorageException("vtgate: " + failure.getStatus(), failure);
    } catch (StorageException failure) {
      transaction.abandon();
      throw failure;
    }
  }

  private static Query.BindVariable text(String value) {
    ByteString bytes = ByteString.copyFrom(value, StandardCharsets.UTF_8);
    return Query.BindVariable.newBuilder().setType(Query.Type.VARCHAR).setValue(bytes).build();
  }

  private static Query.BindVariable number(long value) {
    ByteString digits = ByteString.copyFromUtf8(Long.toString(value));
    return Query.BindVariable.newBuilder().setType(Query.Type.INT64).setValue(digits).build();
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  /** One session, for one transaction. */
  private final class Transaction {
    private Vtgate.Session session = Vtgate.Session.newBuilder().setAutocommit(true).setTargetString(target).build();

    Query.QueryResult run(String sql, Map<String, Query.BindVariable> values) throws StorageException {
      Vtgate.ExecuteRequest request =
          Vtgate.ExecuteRequest.newBuilder()
              .setSession(session)
              .setQuery(Query.BoundQuery.newBuilder().setSql(sql).putAllBindVariables(values))
              .build();
      Vtgate.ExecuteResponse response = vtgate.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS).execute(request);
      if (response.hasSession()) {
        session = response.getSession(); // also after an error: it says what is still open
      }
      if (response.hasError()) {
        throw new StorageException("vtgate: " + response.getError().getCode() + ": " + response.getError().getMessage(), null);
      }
      return response.getResult();
    }

    /** Rolls back what may still be open; where even that fails, vtgate's own timeout does it. */
    void abandon() {
      try {
        if (session.getInTransaction()) {
          run("rollback", Map.of());
        }
      } catch (StatusRuntimeException | StorageException ignored) {
        // The caller already has the first failure, which is the one that explains.
      }
    }
  }
}
