// rpc/grpc_glue.h - protobuf messages as gRPC's byte buffers, and statuses. Only for the .cc files
// of this room.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include "base/error.h"

namespace paceline::rpc {

grpc::ByteBuffer ToBuffer(const google::protobuf::MessageLite& message);
// False: not an encoding of this message. Empties the buffer.
bool FromBuffer(grpc::ByteBuffer* buffer, google::protobuf::MessageLite* message);
grpc::Status ToGrpc(const Error& error);
// REQUIRES: !status.ok().
Error FromGrpc(const grpc::Status& status);
// Once a process, before its first server or channel: gRPC's messages, which repeat what calls
// return as errors, go to our log at debug level; and the threads that run its callbacks are kept
// until the process ends. Any thread, any number.
void PrepareGrpc();

}  // namespace paceline::rpc
