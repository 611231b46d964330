#include "rpc/result_codec.h"

#include <gtest/gtest.h>

#include "mysql/wire/ok_packet.h"
#include "query.pb.h"
#include "rpc/bind_variables.h"

namespace paceline::rpc {
namespace {

struct PassingSink final : port::ResultSink {
  explicit PassingSink(port::ResultSink& to, size_t piece) : to(to), piece(piece) {}
  void OnColumns(uint64_t count, std::string_view packets) override {
    to.OnColumns(count, packets);
  }
  void OnRows(std::string_view bytes) override {
    for (; bytes.size() > piece; bytes.remove_prefix(piece)) to.OnRows(bytes.substr(0, piece));
    to.OnRows(bytes);
  }
  void OnEnd(const mysql::wire::Terminator& end, bool last) override { to.OnEnd(end, last); }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  port::ResultSink& to;
  size_t piece;
};

value::TypedResult Sample() {
  value::TypedResult result;
  result.fields.push_back(value::MakeField("id", value::Type::kInt64));
  result.fields.push_back(value::MakeField("name", value::Type::kVarchar));
  for (int i = 0; i < 300; ++i) {
    value::Row row;
    row.Append(std::to_string(i));
    i % 3 == 0 ? row.AppendNull() : row.Append(std::string(static_cast<size_t>(i), 'x'));
    result.rows.push_back(row);
  }
  result.rows_affected = 7;
  result.insert_id = 9;
  result.insert_id_changed = true;
  result.info = "fine";
  result.session_state_changes = "a-b-c:1-5";
  return result;
}

TEST(ResultCodec, RoundTripInPiecesOfAnySize) {
  value::TypedResult sample = Sample();
  query::QueryResult proto;
  ToProto(sample, &proto);
  for (size_t piece : {1, 3, 7, 1000, 1000000}) {
    query::QueryResult back;
    CollectingSink sink(&back, 1 << 20);
    PassingSink pieces(sink, piece);
    ResultWriter writer;
    ASSERT_TRUE(writer.Write(proto, pieces));
    writer.End(0, pieces);
    ASSERT_TRUE(sink.status());
    value::TypedResult typed = FromProto(back);
    EXPECT_EQ(typed.rows, sample.rows);
    ASSERT_EQ(typed.fields.size(), 2u);
    EXPECT_EQ(typed.fields[1].name, "name");
    EXPECT_EQ(typed.fields[1].type, value::Type::kVarchar);
    EXPECT_EQ(typed.rows_affected, 7u);
    EXPECT_EQ(typed.insert_id, 9u);
    EXPECT_TRUE(typed.insert_id_changed);
    EXPECT_EQ(typed.info, "fine");
    EXPECT_EQ(typed.session_state_changes, "a-b-c:1-5");
  }
}

TEST(ResultCodec, BoundsAndErrors) {
  query::QueryResult proto, back;
  ToProto(Sample(), &proto);
  CollectingSink small(&back, 1000);
  ResultWriter writer;
  ASSERT_TRUE(writer.Write(proto, small));
  writer.End(0, small);
  ASSERT_FALSE(small.status());
  EXPECT_EQ(small.status().error().code(), Code::kResourceExhausted);

  query::QueryResult broken;
  ToProto(Sample(), &broken);
  broken.mutable_rows(5)->set_lengths(1, 1'000'000);
  ResultWriter refused;
  EXPECT_EQ(refused.Write(broken, small).error().code(), Code::kInternal);

  query::QueryResult none;
  CollectingSink failing(&none, 1000);
  failing.OnEnd(mysql::wire::TerminatorOf(Error::FromMysql(1062, "23000", "Duplicate entry '1'")),
                true);
  EXPECT_EQ(failing.status().error().mysql_errno(), 1062);
}

TEST(BindVariables, FillsPlacesOnly) {
  query::BoundQuery query;
  query.set_sql(
      "select ':a', `:a`, \"x\\\":a\", @x := :a, :_b1 /* :a */ from t where id in ::list and n = "
      ":n -- :a\n and :a");
  query::BindVariable& a = (*query.mutable_bind_variables())["a"];
  a.set_type(query::INT64);
  a.set_value("-5");
  query::BindVariable& b = (*query.mutable_bind_variables())["_b1"];
  b.set_type(query::VARCHAR);
  b.set_value("it's");
  (*query.mutable_bind_variables())["n"].set_type(query::NULL_TYPE);
  query::BindVariable& list = (*query.mutable_bind_variables())["list"];
  list.set_type(query::TUPLE);
  for (const char* text : {"1", "2"}) {
    query::Value* item = list.add_values();
    item->set_type(query::INT64);
    item->set_value(text);
  }
  Result<std::string> filled = FillIn(query);
  ASSERT_TRUE(filled) << filled.error().message();
  EXPECT_EQ(*filled, "select ':a', `:a`, \"x\\\":a\", @x := -5, " +
                         value::Value::Varchar("it's").ToSql() +
                         " /* :a */ from t where id in (1, 2) and n = NULL -- :a\n and -5");
}

TEST(BindVariables, MissingAndEmpty) {
  query::BoundQuery query;
  query.set_sql("select :nothing");
  (*query.mutable_bind_variables())["list"].set_type(query::TUPLE);
  EXPECT_EQ(FillIn(query).error().code(), Code::kInvalidArgument);
  query.set_sql("select ::list");
  EXPECT_EQ(FillIn(query).error().code(), Code::kInvalidArgument);
  query.set_sql("select 1 :");
  EXPECT_EQ(*FillIn(query), "select 1 :");
}

}  // namespace
}  // namespace paceline::rpc
