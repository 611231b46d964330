package me.horlick.helloworld;

import io.grpc.Status;
import io.grpc.stub.StreamObserver;

/** Answers a greeting only once it is stored. */
final class GreeterService extends GreeterGrpc.GreeterImplBase {
  private final GreetingsRepository greetings;

  GreeterService(GreetingsRepository greetings) {
    this.greetings = greetings;
  }

  @Override
  public void sayHello(HelloRequest request, StreamObserver<HelloReply> responses) {
    if (request.getName().isEmpty()) {
      responses.onError(Status.INVALID_ARGUMENT.withDescription("name is empty: say whom to greet").asRuntimeException());
      return;
    }
    try {
      long id = greetings.insertGreet(request.getName(), request.getToken());
      responses.onNext(HelloReply.newBuilder().setMessage("Hello " + request.getName()).setGreetingId(id).build());
      responses.onCompleted();
    } catch (GreetingsRepository.StorageException failure) {
      responses.onError(Status.UNAVAILABLE.withDescription(failure.getMessage()).withCause(failure).asRuntimeException());
    }
  }
}
