#include "rpc/backup_events.h"

#include <google/protobuf/unknown_field_set.h>

namespace paceline::rpc {
namespace {

// Far from Vitess's own numbers.
constexpr int kProgressField = 20001;

}  // namespace

void FillEvent(const std::string& text, logutil::Event* event) {
  int64_t now = SystemClock().WallNow().unix_ns;
  event->mutable_time()->set_seconds(now / 1'000'000'000);
  event->mutable_time()->set_nanoseconds(static_cast<int32_t>(now % 1'000'000'000));
  event->set_level(logutil::INFO);
  event->set_value(text);
}

void ToMessage(const port::TransferProgress& progress, agent::TransferProgress* out) {
  out->set_phase(progress.phase);
  out->set_bytes(progress.bytes);
  out->set_total(progress.total);
  out->set_rate(progress.rate);
  out->set_left_s(progress.left_s);
}

port::TransferProgress FromMessage(const agent::TransferProgress& message) {
  return {message.phase(), message.bytes(), message.total(), message.rate(), message.left_s()};
}

void AttachProgress(const std::optional<port::TransferProgress>& progress,
                    google::protobuf::Message* response) {
  if (!progress) return;
  agent::TransferProgress message;
  ToMessage(*progress, &message);
  response->GetReflection()->MutableUnknownFields(response)->AddLengthDelimited(
      kProgressField, message.SerializeAsString());
}

std::optional<port::TransferProgress> AttachedProgress(const google::protobuf::Message& response) {
  const auto& unknown = response.GetReflection()->GetUnknownFields(response);
  for (int i = 0; i < unknown.field_count(); ++i) {
    const auto& field = unknown.field(i);
    if (field.number() != kProgressField ||
        field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    agent::TransferProgress message;
    if (message.ParseFromString(field.length_delimited())) return FromMessage(message);
  }
  return std::nullopt;
}

}  // namespace paceline::rpc
