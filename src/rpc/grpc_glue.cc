#include "rpc/grpc_glue.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <mutex>

#include "base/check.h"
#include "base/log.h"
#include "rpc/error_codec.h"

namespace paceline::rpc {

grpc::ByteBuffer ToBuffer(const google::protobuf::MessageLite& message) {
  grpc::ByteBuffer buffer;
  bool own = false;
  grpc::Status status =
      grpc::GenericSerialize<grpc::ProtoBufferWriter, google::protobuf::MessageLite>(message,
                                                                                     &buffer, &own);
  CHECK_MSG(status.ok(), status.error_message());
  return buffer;
}

bool FromBuffer(grpc::ByteBuffer* buffer, google::protobuf::MessageLite* message) {
  return grpc::GenericDeserialize<grpc::ProtoBufferReader, google::protobuf::MessageLite>(buffer,
                                                                                          message)
      .ok();
}

grpc::Status ToGrpc(const Error& error) {
  // vtrpc's codes above 16 travel as they are: gRPC carries any number.
  return grpc::Status(static_cast<grpc::StatusCode>(error.code()), WireText(error));
}

Error FromGrpc(const grpc::Status& status) {
  return ErrorFromWire(static_cast<int>(status.error_code()), status.error_message());
}

namespace {

void TakeOverLog() {
  gpr_set_log_function([](gpr_log_func_args* line) {
    // The last words before gRPC aborts the process.
    bool fatal = std::string_view(line->message).starts_with("assertion failed");
    Log(fatal ? LogLevel::kError : LogLevel::kDebug, "grpc: {} ({}:{})", line->message, line->file,
        line->line);
  });
}

// gRPC 1.51 ends its callback threads with the last channel and server, and destroys their queue
// while one may still be inside it (assertion in grpc_cq_internal_unref, seen once in 300 rounds).
// A channel that never goes keeps them.
void KeepCallbackThreads() {
  struct Kept {
    grpc::GenericStub stub{
        grpc::CreateChannel("unix:/nonexistent", grpc::InsecureChannelCredentials())};
    grpc::ClientContext context;
    grpc::Slice nothing;
    grpc::ByteBuffer request{&nothing, 1};
    grpc::ByteBuffer response;
  };
  static Kept* kept = new Kept;
  kept->context.set_deadline(gpr_time_0(GPR_TIMESPAN));
  kept->stub.UnaryCall(&kept->context, "/none/None", {}, &kept->request, &kept->response,
                       [](grpc::Status) {});
}

}  // namespace

void PrepareGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    TakeOverLog();
    KeepCallbackThreads();
  });
}

}  // namespace paceline::rpc
