package me.horlick.helloworld;

/** Where greetings are kept. Implementations are safe to use from several threads. */
interface GreetingsRepository extends AutoCloseable {
  /**
   * Stores one greeting in a transaction of its own, reads it back inside and commits.
   *
   * @return the id of its row, once it is committed
   * @throws StorageException when it is not known to be committed
   */
  long insertGreet(String name, String token) throws StorageException;

  @Override
  void close();

  /** A greeting that was not confirmed; the message is the database's. */
  final class StorageException extends Exception {
    private static final long serialVersionUID = 1;

    StorageException(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
