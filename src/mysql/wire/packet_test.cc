#include "mysql/wire/packet.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "mysql/wire/codec.h"

namespace paceline::mysql::wire {
namespace {

TEST(Codec, LenencRoundTripsAtEveryEdge) {
  for (uint64_t value : {0ull, 1ull, 250ull, 251ull, 252ull, 0xffffull, 0x10000ull, 0xffffffull,
                         0x1000000ull, 0xffffffffffffffffull}) {
    std::string bytes;
    PutLenenc(&bytes, value);
    EXPECT_EQ(bytes.size(), LenencSize(value));
    Reader reader(bytes);
    EXPECT_EQ(reader.Lenenc(), value);
    EXPECT_TRUE(reader.ok() && reader.empty());
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      Reader shorter(std::string_view(bytes).substr(0, cut));
      shorter.Lenenc();
      EXPECT_FALSE(shorter.ok());
    }
  }
}

TEST(Codec, ReadsThatDoNotFitFailForGood) {
  Reader reader("\xfc\x05");
  EXPECT_EQ(reader.LenencBytes(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.U8(), 0);
  Reader null("\xfb");
  null.Lenenc();
  EXPECT_FALSE(null.ok());
  Reader unterminated("abc");
  unterminated.NulTerminated();
  EXPECT_FALSE(unterminated.ok());
}

std::vector<std::string> Assemble(const std::string& bytes, size_t step, size_t max_body) {
  std::vector<std::string> bodies;
  PacketAssembler assembler(max_body);
  for (size_t at = 0; at < bytes.size(); at += step) {
    std::string chunk = bytes.substr(at, step);
    std::span<const uint8_t> input = AsBytes(chunk);
    while (!input.empty()) {
      auto outcome = assembler.Feed(&input);
      if (outcome == PacketAssembler::Outcome::kPacket) bodies.emplace_back(assembler.body());
      if (outcome == PacketAssembler::Outcome::kTooLarge) return {"too large"};
      if (outcome == PacketAssembler::Outcome::kBadSequence) return {"bad sequence"};
    }
  }
  return bodies;
}

TEST(PacketAssembler, JoinsWhateverTheCuts) {
  std::string bytes;
  uint8_t sequence = 0;
  std::vector<std::string> expected = {"", "a", std::string(300, 'x'), "end"};
  for (const std::string& body : expected) AppendPacket(&bytes, body, &sequence);
  for (size_t step = 1; step <= bytes.size(); ++step) {
    ASSERT_EQ(Assemble(bytes, step, 1000), expected) << step;
  }
  EXPECT_EQ(Assemble(bytes, 7, 299).back(), "too large");
}

TEST(PacketAssembler, SixteenMegabytesAndMoreAreSplitAndJoined) {
  for (size_t size : {size_t{kMaxPacketBody} - 1, size_t{kMaxPacketBody},
                      size_t{kMaxPacketBody} + 1, size_t{kMaxPacketBody} * 2}) {
    std::string body(size, 'b');
    body[0] = 'a';
    body.back() = 'z';
    std::string bytes;
    uint8_t sequence = 3;
    AppendPacket(&bytes, body, &sequence);
    EXPECT_EQ(sequence, 3 + size / kMaxPacketBody + 1);
    std::string in_place;
    uint8_t sequence_in_place = 3;
    size_t at = BeginPacket(&in_place);
    in_place += body;
    EndPacket(&in_place, at, &sequence_in_place);
    ASSERT_TRUE(in_place == bytes);
    bytes += std::string("\x01\x00\x00\x00!", 5);
    auto bodies = Assemble(bytes, 1 << 20, 64 << 20);
    ASSERT_EQ(bodies.size(), 2u);
    EXPECT_TRUE(bodies[0] == body);
    EXPECT_EQ(bodies[1], "!");
  }
}

TEST(PacketAssembler, ContinuationOutOfSequenceIsRefused) {
  std::string bytes;
  uint8_t sequence = 0;
  AppendPacket(&bytes, std::string(kMaxPacketBody, 'x'), &sequence);
  bytes[bytes.size() - 1] = 9;
  EXPECT_EQ(Assemble(bytes, bytes.size(), 64 << 20).back(), "bad sequence");
}

}  // namespace
}  // namespace paceline::mysql::wire
