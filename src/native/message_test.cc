#include "native/message.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace paceline::native {
namespace {

using mysql::wire::Terminator;

// The one frame in `bytes`.
std::string_view Payload(const std::string& bytes, FrameHeader* header) {
  *header = ReadHeader(bytes.data());
  EXPECT_EQ(header->length + kHeaderBytes, bytes.size());
  return std::string_view(bytes).substr(kHeaderBytes);
}

Terminator FullTerminator() {
  Terminator end;
  end.kind = Terminator::Kind::kOk;
  end.sequence = 250;
  end.status_flags = 0x4003;
  end.warnings = 2;
  end.affected_rows = 70000;
  end.last_insert_id = uint64_t{1} << 40;
  end.row_count = 10000;
  end.info = "Rows matched: 1";
  end.session_state = std::string("\x03\x02\x01x", 4);
  end.gtid = "3e11fa47-71ca-11e1-9e33-c80aa9429562:23";
  return end;
}

TEST(Message, EndCarriesAllOfATerminator) {
  Terminator error;
  error.kind = Terminator::Kind::kErr;
  error.error_number = 1062;
  error.sqlstate = "23000";
  error.message = "Duplicate entry";
  for (const Terminator& end : {Terminator(), FullTerminator(), error}) {
    port::QueryEnd call{.pinned_id = 77,
                        .warnings = {{"Note", 1051, "Unknown table"}, {"Warning", 9, ""}}};
    std::string encoded, bytes;
    EncodeTerminator(&encoded, end);
    AppendLastEnd(&bytes, 5, encoded, call);
    FrameHeader header;
    std::string_view payload = Payload(bytes, &header);
    EXPECT_EQ(header.flags, kFlagLast);
    Terminator back = FullTerminator();
    port::QueryEnd back_call;
    ASSERT_TRUE(DecodeEnd(header, payload, &back, &back_call));
    EXPECT_EQ(back, end);
    EXPECT_EQ(back_call.pinned_id, 77u);
    ASSERT_EQ(back_call.warnings.size(), 2u);
    EXPECT_EQ(back_call.warnings[0].message, "Unknown table");
    for (size_t cut = 0; cut < payload.size(); ++cut) {
      EXPECT_FALSE(DecodeEnd(header, payload.substr(0, cut), &back, &back_call)) << cut;
    }
    bytes.clear();
    AppendEnd(&bytes, 5, end);
    payload = Payload(bytes, &header);
    ASSERT_TRUE(DecodeEnd(header, payload, &back, &back_call));
    EXPECT_EQ(back, end);
  }
}

TEST(Message, QueryCarriesAllOfARequest) {
  port::QueryRequest request;
  request.target = {"test_keyspace", "-80", record::TabletType::kReplica, "zone1"};
  request.caller = {"principal", "user", {"g1", "g2"}};
  request.pinned_id = 99;
  request.settings = std::make_shared<port::Settings>(port::Settings{42, "SET x = 1"});
  request.begin = "start transaction";
  request.reserve = request.found_rows = true;
  request.kind = port::StatementKind::kExecute;
  request.text = "select ?";
  request.parameters = std::string_view("\0\1\2", 3);
  std::string payload;
  EncodeQuery(&payload, request, std::chrono::seconds(3));
  DecodedQuery query;
  ASSERT_TRUE(DecodeQuery(payload, &query));
  EXPECT_EQ(query.time_left, Duration(std::chrono::seconds(3)));
  EXPECT_EQ(query.settings_id, 42u);
  EXPECT_EQ(query.pinned_id, 99u);
  EXPECT_TRUE(query.reserve && query.found_rows);
  EXPECT_EQ(query.kind, port::StatementKind::kExecute);
  EXPECT_EQ(query.begin, request.begin);
  EXPECT_EQ(query.text, request.text);
  EXPECT_EQ(query.parameters, request.parameters);
  record::Target target;
  ASSERT_TRUE(DecodeTarget(query.target, &target));
  EXPECT_EQ(target, request.target);
  port::Caller caller;
  ASSERT_TRUE(DecodeCaller(query.caller, &caller));
  EXPECT_EQ(caller.principal, "principal");
  EXPECT_EQ(caller.groups, request.caller.groups);
  // The text is the rest, so a cut inside it goes unseen here: frames have lengths of their own.
  for (size_t cut = 0; cut + request.text.size() < payload.size(); ++cut) {
    EXPECT_FALSE(DecodeQuery(std::string_view(payload).substr(0, cut), &query)) << cut;
  }
}

TEST(Message, SmallOnesComeBack) {
  FrameHeader header;
  std::string bytes;
  AppendHello(&bytes, {3, {"zone1", 101}, "vttablet", "/run/native.sock", 77});
  Hello hello;
  ASSERT_TRUE(DecodeHello(Payload(bytes, &header), &hello));
  EXPECT_EQ(hello.tablet.ToString(), "zone1-0000000101");
  EXPECT_EQ(hello.unix_path, "/run/native.sock");
  EXPECT_EQ(hello.instance, 77u);

  bytes.clear();
  AppendError(&bytes, 4, Error(Code::kClusterEvent, "operation not allowed in state NOT_SERVING"));
  Error error(Code::kUnknown, "");
  ASSERT_TRUE(DecodeError(Payload(bytes, &header), &error));
  EXPECT_EQ(error.code(), Code::kClusterEvent);
  EXPECT_EQ(error.message(), "operation not allowed in state NOT_SERVING");
  bytes.clear();
  AppendError(&bytes, 4, Error::FromMysql(1290, "HY000", "read-only"));
  ASSERT_TRUE(DecodeError(Payload(bytes, &header), &error));
  EXPECT_TRUE(error.from_mysql());
  EXPECT_EQ(error.mysql_errno(), 1290);

  bytes.clear();
  port::TabletHealth health{.alias = {"zone1", 5},
                            .target = {"ks", "0", record::TabletType::kReplica, "zone1"},
                            .serving = true,
                            .term = 9,
                            .replication_lag = std::chrono::seconds(2),
                            .error = "late",
                            .qps = 12.5,
                            .position = "MySQL56/x",
                            .changed_tables = {"a", "b"}};
  health.primary_term_start.unix_ns = -5;
  AppendHealth(&bytes, 8, health);
  port::TabletHealth back;
  ASSERT_TRUE(DecodeHealth(Payload(bytes, &header), &back));
  EXPECT_EQ(back.target, health.target);
  EXPECT_EQ(back.primary_term_start, health.primary_term_start);
  EXPECT_EQ(back.replication_lag, health.replication_lag);
  EXPECT_EQ(back.changed_tables, health.changed_tables);
  EXPECT_EQ(back.qps, 12.5);

  bytes.clear();
  AppendRelease(&bytes, 8, health.target, 123, std::chrono::seconds(1));
  record::Target target;
  uint64_t pinned = 0;
  Duration left{0};
  ASSERT_TRUE(DecodeRelease(Payload(bytes, &header), &target, &pinned, &left));
  EXPECT_EQ(pinned, 123u);
  EXPECT_EQ(target, health.target);
}

TEST(Message, NoiseIsRefusedOrReadNeverMore) {
  SeededRng rng(7);
  for (int round = 0; round < 50000; ++round) {
    std::string noise;
    for (uint64_t size = rng.Below(64); size > 0; --size)
      noise.push_back(static_cast<char>(rng.Next()));
    Terminator end;
    port::QueryEnd call;
    DecodedQuery query;
    Hello hello;
    Error error(Code::kUnknown, "");
    port::TabletHealth health;
    record::Target target;
    port::Caller caller;
    FrameHeader last{.flags = kFlagLast};
    DecodeEnd(last, noise, &end, &call);
    DecodeQuery(noise, &query);
    DecodeHello(noise, &hello);
    DecodeError(noise, &error);
    DecodeHealth(noise, &health);
    DecodeTarget(noise, &target);
    DecodeCaller(noise, &caller);
  }
}

TEST(Message, QuestionsAndOutcomesCarryAll) {
  record::Target target{"k", "0", record::TabletType::kPrimary, "zone1"};
  std::vector<port::AttemptQuestion> questions = {{0x80000001, {"zone1", 101}, "MySQL56/x:1-5"},
                                                  {0xffffffff, {}, "", false}};
  std::string bytes;
  AppendResolve(&bytes, 7, target, questions, std::chrono::seconds(2));
  FrameHeader header;
  std::string payload(Payload(bytes, &header));
  record::Target back_target;
  std::vector<port::AttemptQuestion> back;
  Duration left{0};
  ASSERT_TRUE(DecodeResolve(payload, &back_target, &back, &left));
  EXPECT_EQ(back_target, target);
  EXPECT_EQ(left, std::chrono::seconds(2));
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].attempt, 0x80000001);
  EXPECT_EQ(back[0].sent_to, questions[0].sent_to);
  EXPECT_EQ(back[0].since, questions[0].since);
  EXPECT_EQ(back[1].attempt, 0xffffffff);
  EXPECT_TRUE(back[0].procedure);
  EXPECT_FALSE(back[1].procedure);
  for (size_t cut = 0; cut < payload.size(); ++cut) {
    EXPECT_FALSE(
        DecodeResolve(std::string_view(payload).substr(0, cut), &back_target, &back, &left));
  }

  std::vector<port::AttemptOutcome> outcomes(3);
  outcomes[0].fate = port::AttemptOutcome::Fate::kCommitted;
  outcomes[0].gtid = "x:6";
  outcomes[0].statements = 2;
  outcomes[0].changes = {{"db.t", 3, 2, 1, 41}, {"db.u", 1, 0, 0, std::nullopt, {"id"}}};
  outcomes[1].fate = port::AttemptOutcome::Fate::kNotCommitted;
  outcomes[2].why = "no log";
  bytes.clear();
  AppendResolved(&bytes, 7, outcomes);
  payload = Payload(bytes, &header);
  std::vector<port::AttemptOutcome> told;
  ASSERT_TRUE(DecodeResolved(payload, &told));
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].fate, outcomes[0].fate);
  EXPECT_EQ(told[0].gtid, "x:6");
  EXPECT_EQ(told[0].statements, 2u);
  ASSERT_EQ(told[0].changes.size(), 2u);
  EXPECT_EQ(told[0].changes[0].table, "db.t");
  EXPECT_EQ(told[0].changes[0].inserted, 3u);
  EXPECT_EQ(told[0].changes[0].updated, 2u);
  EXPECT_EQ(told[0].changes[0].deleted, 1u);
  EXPECT_EQ(told[0].changes[0].first_insert_id, 41u);
  EXPECT_FALSE(told[0].changes[1].first_insert_id);
  EXPECT_EQ(told[0].changes[1].integer_keys, std::vector<std::string>{"id"});
  EXPECT_EQ(told[1].fate, port::AttemptOutcome::Fate::kNotCommitted);
  EXPECT_EQ(told[2].fate, port::AttemptOutcome::Fate::kUnknown);
  EXPECT_EQ(told[2].why, "no log");
  for (size_t cut = 0; cut < payload.size(); ++cut)
    EXPECT_FALSE(DecodeResolved(std::string_view(payload).substr(0, cut), &told));
}

}  // namespace
}  // namespace paceline::native
