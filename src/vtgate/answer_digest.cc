#include "vtgate/answer_digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "mysql/wire/terminator.h"

namespace paceline::vtgate {

using mysql::wire::Terminator;

struct AnswerDigest::State {
  XXH3_state_t hash;
};

AnswerDigest::AnswerDigest(port::ResultSink* to) : to_(to), state_(std::make_unique<State>()) {
  XXH3_64bits_reset(&state_->hash);
}
AnswerDigest::~AnswerDigest() = default;

void AnswerDigest::Take(const void* bytes, size_t size) {
  XXH3_64bits_update(&state_->hash, bytes, size);
}

// All but each header's last byte, the packet's number, which depends on what was sent before.
void AnswerDigest::TakePackets(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      const size_t part = std::min(left_, bytes.size());
      Take(bytes.data(), part);
      bytes.remove_prefix(part);
      left_ -= part;
      continue;
    }
    header_[header_size_++] = bytes.front();
    bytes.remove_prefix(1);
    if (header_size_ < sizeof header_) continue;
    header_size_ = 0;
    for (int i = 2; i >= 0; --i) left_ = left_ << 8 | static_cast<unsigned char>(header_[i]);
    Take(header_, 3);
  }
}

uint64_t AnswerDigest::Value() const { return XXH3_64bits_digest(&state_->hash); }

void AnswerDigest::OnColumns(uint64_t column_count, std::string_view packets) {
  had_rows_ = true;
  Take(&column_count, sizeof column_count);
  TakePackets(packets);
  if (to_ != nullptr) to_->OnColumns(column_count, packets);
}

void AnswerDigest::OnRows(std::string_view bytes) {
  TakePackets(bytes);
  if (to_ != nullptr) to_->OnRows(bytes);
}

void AnswerDigest::OnEnd(const Terminator& end, bool last) {
  constexpr uint16_t kShown = mysql::wire::kStatusInTransaction | mysql::wire::kStatusMoreResults |
                              mysql::wire::kStatusOutParameters;
  const uint64_t numbers[] = {static_cast<uint64_t>(end.kind),
                              static_cast<uint64_t>(end.status_flags & kShown),
                              end.warnings,
                              end.affected_rows,
                              end.last_insert_id,
                              end.row_count,
                              end.error_number,
                              end.info.size(),
                              end.message.size()};
  Take(numbers, sizeof numbers);
  Take(end.info.data(), end.info.size());
  Take(end.message.data(), end.message.size());
  if (end.is_error()) Take(end.sqlstate.data(), end.sqlstate.size());
  last_insert_id_ = end.last_insert_id;
  failed_ = end.is_error();
  if (to_ != nullptr) to_->OnEnd(end, last);
}

void AnswerDigest::OnPrepared(uint16_t parameter_count, std::string_view parameters,
                              uint16_t column_count, std::string_view columns, uint16_t warnings) {
  if (to_ != nullptr) to_->OnPrepared(parameter_count, parameters, column_count, columns, warnings);
}

io::Task<Status> AnswerDigest::WaitNotFull(Deadline deadline) {
  if (to_ == nullptr) co_return Status();
  Status room = co_await to_->WaitNotFull(deadline);
  co_return room;
}

}  // namespace paceline::vtgate
