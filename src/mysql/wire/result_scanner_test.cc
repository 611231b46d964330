#include "mysql/wire/result_scanner.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "base/rng.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/session_state.h"

namespace paceline::mysql::wire {
namespace {

// A response as a server would write it, with what the scanner must say about it.
struct Part {
  std::string meta, rows;
  Terminator end;
  uint64_t row_count = 0;
};

class Response {
 public:
  explicit Response(uint8_t sequence = 1) : sequence_(sequence) {}

  Response& Result(int columns, std::vector<std::string> rows, Terminator end) {
    Part part;
    AppendPacket(&part.meta, std::string(1, static_cast<char>(columns)), &sequence_);
    for (int i = 0; i < columns; ++i)
      AppendPacket(&part.meta,
                   "\x03"
                   "def"
                   "definition",
                   &sequence_);
    for (const std::string& row : rows) AppendPacket(&part.rows, row, &sequence_);
    part.row_count = rows.size();
    return End(std::move(part), std::move(end));
  }
  Response& Simple(Terminator end) { return End({}, std::move(end)); }
  Response& End(Part part, Terminator end) {
    end.sequence = sequence_;
    end.row_count = part.row_count;
    part.end = end;
    bytes_ += part.meta + part.rows;
    AppendTerminator(&bytes_, end, kBackendCapabilities, &sequence_);
    parts_.push_back(std::move(part));
    return *this;
  }
  const std::string& bytes() const { return bytes_; }
  const std::vector<Part>& parts() const { return parts_; }
  uint8_t* sequence() { return &sequence_; }

 private:
  uint8_t sequence_;
  std::string bytes_;
  std::vector<Part> parts_;
};

Terminator Ok(uint64_t affected = 0) {
  Terminator t;
  t.affected_rows = affected;
  t.status_flags = kStatusAutocommit;
  return t;
}
Terminator Eof(uint16_t more = 0) {
  Terminator t;
  t.kind = Terminator::Kind::kEof;
  t.status_flags = kStatusAutocommit | more;
  return t;
}
Terminator Err() {
  Terminator t;
  t.kind = Terminator::Kind::kErr;
  t.error_number = 1146;
  t.sqlstate = "42S02";
  t.message = "Table 'x' doesn't exist";
  return t;
}

// Feeds `bytes`, `next_chunk()` at a time, each chunk in a heap block of its exact size so that
// ASan sees overreads.
template <class NextChunk>
std::vector<Part> ScanAll(ResultScanner* scanner, std::string_view bytes, NextChunk next_chunk,
                          ScanEvent* last) {
  std::vector<Part> parts(1);
  std::string held;
  size_t at = 0;
  for (;;) {
    auto block = std::make_unique<char[]>(held.size());
    held.copy(block.get(), held.size());
    ScanStep step = scanner->Scan(block.get(), held.size());
    EXPECT_LE(step.meta_bytes + step.row_bytes, step.consumed);
    EXPECT_LE(step.consumed, held.size());
    parts.back().meta += held.substr(0, step.meta_bytes);
    parts.back().rows += held.substr(step.meta_bytes, step.row_bytes);
    parts.back().row_count = scanner->row_count();
    held.erase(0, step.consumed);
    *last = step.event;
    if (step.event == ScanEvent::kResultEnd) {
      parts.back().end = scanner->terminator();
      parts.emplace_back();
      continue;
    }
    if (step.event != ScanEvent::kNeedInput) {
      parts.back().end = scanner->terminator();
      EXPECT_TRUE(step.event != ScanEvent::kDone || (held.empty() && at == bytes.size()));
      return parts;
    }
    EXPECT_LE(held.size(), ResultScanner::kMaxHeldBytes);
    if (at == bytes.size()) return parts;
    size_t take = std::min(next_chunk(), bytes.size() - at);
    held += bytes.substr(at, take);
    at += take;
  }
}

void ExpectScans(const Response& response, ResponseKind kind) {
  for (size_t step :
       {size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{17}, response.bytes().size()}) {
    if (response.bytes().size() > 1 << 20 && step < response.bytes().size()) step = 99'991;
    ResultScanner scanner;
    scanner.Start(kind);
    ScanEvent last;
    auto parts = ScanAll(
        &scanner, response.bytes(), [&] { return step; }, &last);
    ASSERT_EQ(last, ScanEvent::kDone) << "chunks of " << step;
    ASSERT_EQ(parts.size(), response.parts().size());
    for (size_t i = 0; i < parts.size(); ++i) {
      EXPECT_TRUE(parts[i].meta == response.parts()[i].meta);
      EXPECT_TRUE(parts[i].rows == response.parts()[i].rows);
      EXPECT_EQ(parts[i].row_count, response.parts()[i].row_count);
      EXPECT_EQ(parts[i].end, response.parts()[i].end);
    }
    EXPECT_EQ(scanner.next_sequence(), *const_cast<Response&>(response).sequence());
  }
}

TEST(ResultScanner, RowsAndTheirEnd) {
  ExpectScans(Response().Result(2,
                                {"\x01"
                                 "a"
                                 "\x01"
                                 "b",
                                 "\xfb\x01"
                                 "c"},
                                Eof()),
              ResponseKind::kQuery);
  ExpectScans(Response().Result(1, {}, Eof()), ResponseKind::kQuery);
  ExpectScans(Response().Result(1, {std::string("\0\0\1x", 4)}, Eof()), ResponseKind::kQuery);
  ExpectScans(Response().Result(3,
                                {"\x01"
                                 "a"},
                                Err()),
              ResponseKind::kQuery);
}

TEST(ResultScanner, StatementsWithoutRows) {
  ExpectScans(Response().Simple(Ok(300)), ResponseKind::kQuery);
  ExpectScans(Response().Simple(Err()), ResponseKind::kQuery);
  ExpectScans(Response().Simple(Err()), ResponseKind::kPrepare);
  ExpectScans(Response().Simple(Err()), ResponseKind::kFieldList);
  ExpectScans(Response().Simple(Err()), ResponseKind::kFetch);
  ExpectScans(Response().Simple(Eof()), ResponseKind::kSimple);
  ExpectScans(Response().Simple(Ok()), ResponseKind::kSimple);
}

TEST(ResultScanner, SeveralResults) {
  Terminator more = Ok(1);
  more.status_flags |= kStatusMoreResults;
  ExpectScans(Response()
                  .Result(1,
                          {"\x01"
                           "1"},
                          Eof(kStatusMoreResults))
                  .Simple(more)
                  .Result(2, {}, Eof(kStatusMoreResults))
                  .Simple(Ok(7)),
              ResponseKind::kQuery);
  ExpectScans(Response().Result(1, {}, Eof(kStatusMoreResults)).Simple(Err()),
              ResponseKind::kQuery);
}

TEST(ResultScanner, SessionStateAndGtid) {
  Terminator end = Ok(1);
  end.status_flags |= kStatusSessionStateChanged;
  end.info = "Rows matched: 1";
  AppendSessionState(&end.session_state, {SessionStateType::kSystemVariable, "autocommit", "ON"});
  AppendSessionState(&end.session_state, {SessionStateType::kGtids, "", "3e11fa47-0000:1-5"});
  AppendSessionState(&end.session_state, {SessionStateType::kTransactionState, "", "________"});
  end.gtid = "3e11fa47-0000:1-5";
  ExpectScans(Response().Simple(end), ResponseKind::kQuery);
}

TEST(ResultScanner, FetchAndFieldList) {
  Response fetch;
  Part rows;
  AppendPacket(&rows.rows, std::string("\0\0\1x", 4), fetch.sequence());
  rows.row_count = 1;
  ExpectScans(fetch.End(rows, Eof()), ResponseKind::kFetch);
  Response fields;
  Part definitions;
  AppendPacket(&definitions.meta,
               "\x03"
               "def"
               "one",
               fields.sequence());
  AppendPacket(&definitions.meta,
               "\x03"
               "def"
               "two",
               fields.sequence());
  definitions.row_count = 2;
  ExpectScans(fields.End(definitions, Eof()), ResponseKind::kFieldList);
}

TEST(ResultScanner, PrepareEndsWithItsLastDefinition) {
  for (auto [columns, parameters] : {std::pair{0, 0}, {2, 0}, {0, 3}, {2, 3}}) {
    std::string body, bytes;
    uint8_t sequence = 1;
    PutU8(&body, 0);
    PutU32(&body, 77);
    PutU16(&body, static_cast<uint16_t>(columns));
    PutU16(&body, static_cast<uint16_t>(parameters));
    PutU8(&body, 0);
    PutU16(&body, 5);
    AppendPacket(&bytes, body, &sequence);
    for (int i = 0; i < columns + parameters; ++i)
      AppendPacket(&bytes,
                   "\x03"
                   "def",
                   &sequence);
    for (size_t step = 1; step <= bytes.size(); ++step) {
      ResultScanner scanner;
      scanner.Start(ResponseKind::kPrepare);
      ScanEvent last;
      auto parts = ScanAll(
          &scanner, bytes, [&] { return step; }, &last);
      ASSERT_EQ(last, ScanEvent::kDone);
      EXPECT_EQ(parts[0].meta, bytes);
      EXPECT_EQ(scanner.prepare_ok().statement_id, 77u);
      EXPECT_EQ(scanner.prepare_ok().column_count, columns);
      EXPECT_EQ(scanner.prepare_ok().parameter_count, parameters);
      EXPECT_EQ(scanner.terminator().warnings, 5);
    }
  }
}

TEST(ResultScanner, LocalInfile) {
  std::string bytes;
  uint8_t sequence = 1;
  AppendPacket(&bytes,
               "\xfb"
               "/tmp/data.csv",
               &sequence);
  for (size_t step = 1; step <= bytes.size(); ++step) {
    ResultScanner scanner;
    scanner.Start(ResponseKind::kQuery);
    ScanEvent last;
    ScanAll(
        &scanner, bytes, [&] { return step; }, &last);
    ASSERT_EQ(last, ScanEvent::kLocalInfile);
    EXPECT_EQ(scanner.infile_name(), "/tmp/data.csv");
    EXPECT_EQ(scanner.next_sequence(), 2);
    scanner.ResumeAfterInfile(4);
    Response after(4);
    after.Simple(Ok(3));
    auto parts = ScanAll(
        &scanner, after.bytes(), [&] { return step; }, &last);
    ASSERT_EQ(last, ScanEvent::kDone);
    EXPECT_EQ(parts[0].end.affected_rows, 3u);
  }
}

TEST(ResultScanner, StatisticsIsOneText) {
  std::string bytes;
  uint8_t sequence = 1;
  AppendPacket(&bytes, "Uptime: 5  Threads: 1", &sequence);
  ResultScanner scanner;
  scanner.Start(ResponseKind::kStatistics);
  ScanEvent last;
  auto parts = ScanAll(
      &scanner, bytes, [] { return size_t{3}; }, &last);
  EXPECT_EQ(last, ScanEvent::kDone);
  EXPECT_EQ(parts[0].rows, bytes);
}

TEST(ResultScanner, PacketsOfSixteenMegabytes) {
  // The continuation begins with bytes that would end the rows, were they the first of a packet.
  std::string row = "\xfe" + std::string(kMaxPacketBody - 1, 'x') + "\xfe\x00\x00";
  ExpectScans(Response().Result(1,
                                {row,
                                 "\x01"
                                 "a",
                                 std::string(kMaxPacketBody, 'y')},
                                Eof()),
              ResponseKind::kQuery);
}

TEST(ResultScanner, SequenceNumbersAreChecked) {
  std::string bytes = Response()
                          .Result(1,
                                  {"\x01"
                                   "a"},
                                  Eof())
                          .bytes();
  bytes[3] = 7;
  ResultScanner scanner;
  scanner.Start(ResponseKind::kQuery);
  EXPECT_EQ(scanner.Scan(bytes.data(), bytes.size()).event, ScanEvent::kBroken);
  EXPECT_EQ(scanner.Scan(bytes.data(), bytes.size()).event, ScanEvent::kBroken);
}

TEST(ResultScanner, RandomResponsesInRandomChunks) {
  SeededRng rng(1);
  for (int round = 0; round < 2000; ++round) {
    Response response;
    int results = static_cast<int>(1 + rng.Below(3));
    for (int i = 0; i < results; ++i) {
      uint16_t more = i + 1 < results ? kStatusMoreResults : 0;
      if (rng.Below(4) == 0) {
        Terminator ok = Ok(rng.Next());
        ok.status_flags |= more;
        response.Simple(ok);
        continue;
      }
      std::vector<std::string> rows(rng.Below(20));
      for (std::string& row : rows) {
        row = std::string(1 + rng.Below(300), static_cast<char>(rng.Below(0xfb)));
      }
      response.Result(static_cast<int>(1 + rng.Below(5)), rows, Eof(more));
    }
    ResultScanner scanner;
    scanner.Start(ResponseKind::kQuery);
    ScanEvent last;
    auto parts = ScanAll(
        &scanner, response.bytes(), [&] { return 1 + rng.Below(100); }, &last);
    ASSERT_EQ(last, ScanEvent::kDone) << "round " << round;
    ASSERT_EQ(parts.size(), response.parts().size());
    for (size_t i = 0; i < parts.size(); ++i) {
      ASSERT_TRUE(parts[i].meta == response.parts()[i].meta &&
                  parts[i].rows == response.parts()[i].rows);
      ASSERT_EQ(parts[i].end, response.parts()[i].end);
    }
  }
}

TEST(ResultScanner, GarbageNeverOverreads) {
  SeededRng rng(2);
  std::string good = Response()
                         .Result(2,
                                 {"\x01"
                                  "a"
                                  "\x01"
                                  "b"},
                                 Eof(kStatusMoreResults))
                         .Simple(Ok())
                         .bytes();
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (uint64_t i = 0, n = 1 + rng.Below(4); i < n; ++i) {
      bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Next());
    }
    ResultScanner scanner;
    scanner.Start(static_cast<ResponseKind>(rng.Below(6)), 1, rng.Below(2));
    std::string held;
    for (size_t at = 0; at < bytes.size();) {
      size_t take = std::min<size_t>(1 + rng.Below(30), bytes.size() - at);
      held += bytes.substr(at, take);
      at += take;
      auto block = std::make_unique<char[]>(held.size());
      held.copy(block.get(), held.size());
      ScanStep step = scanner.Scan(block.get(), held.size());
      ASSERT_LE(step.consumed, held.size());
      held.erase(0, step.consumed);
      if (step.event == ScanEvent::kBroken || step.event == ScanEvent::kDone) break;
    }
  }
}

}  // namespace
}  // namespace paceline::mysql::wire
