#include "mysql/wire/compression.h"

#include <gtest/gtest.h>

#include "mysql/wire/packet.h"

namespace paceline::mysql::wire {
namespace {

std::string Texts(size_t size) {
  std::string text;
  while (text.size() < size) text += "row " + std::to_string(text.size()) + "; ";
  text.resize(size);
  return text;
}

class CompressionTest : public testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(Both, CompressionTest,
                         testing::Values(Compression::kZlib, Compression::kZstd));

TEST_P(CompressionTest, CutAtEveryByte) {
  std::string frames;
  uint8_t sequence = 3;
  AppendCompressed(&frames, "short", GetParam(), &sequence);
  AppendCompressed(&frames, Texts(400), GetParam(), &sequence);
  EXPECT_EQ(sequence, 5);
  const std::string whole = "short" + Texts(400);
  ASSERT_LT(frames.size(), whole.size());
  for (size_t cut = 0; cut <= frames.size(); ++cut) {
    Decompressor decompressor(GetParam());
    std::string out;
    ASSERT_TRUE(decompressor.Feed(std::string_view(frames).substr(0, cut), &out)) << cut;
    EXPECT_TRUE(std::string_view(whole).starts_with(out));
    ASSERT_TRUE(decompressor.Feed(std::string_view(frames).substr(cut), &out)) << cut;
    EXPECT_EQ(out, whole) << cut;
    EXPECT_EQ(decompressor.sequence(), 4);
    EXPECT_EQ(decompressor.held(), 0u);
  }
}

TEST_P(CompressionTest, EveryWrongByteIsAnErrorOrOtherBytes) {
  std::string frames;
  uint8_t sequence = 0;
  const std::string whole = Texts(300);
  AppendCompressed(&frames, whole, GetParam(), &sequence);
  for (size_t at = 0; at < frames.size(); ++at) {
    std::string wrong = frames;
    wrong[at] ^= 0x55;
    Decompressor decompressor(GetParam());
    std::string out;
    Status fed = decompressor.Feed(wrong, &out);
    EXPECT_LE(out.size(), size_t{kMaxPacketBody});
    if (!fed) {
      EXPECT_EQ(fed.error().code(), Code::kInvalidArgument);
    }
  }
}

TEST_P(CompressionTest, MoreThanOneFrameHolds) {
  std::string frames, out;
  uint8_t sequence = 254;
  const std::string whole = Texts(40 << 20);
  AppendCompressed(&frames, whole, GetParam(), &sequence);
  EXPECT_EQ(sequence, 1);  // 254, 255, 0
  Decompressor decompressor(GetParam());
  ASSERT_TRUE(decompressor.Feed(frames, &out));
  EXPECT_EQ(out, whole);
}

TEST(Compression, WhatDoesNotShrinkStaysPlain) {
  std::string noise;
  uint32_t state = 1;
  for (int i = 0; i < 1000; ++i) {
    state = state * 1664525 + 1013904223;
    noise += static_cast<char>(state >> 24);
  }
  std::string frames;
  uint8_t sequence = 0;
  AppendCompressed(&frames, noise, Compression::kZlib, &sequence);
  EXPECT_EQ(frames.size(), noise.size() + kCompressedHeaderBytes);
}

TEST(PacketFollower, KnowsWhereAPacketEnds) {
  std::string packets;
  uint8_t sequence = 0;
  AppendPacket(&packets, "", &sequence);
  AppendPacket(&packets, "ab", &sequence);
  AppendPacket(&packets, std::string(70'000, 'x'), &sequence);
  for (size_t step : {1u, 2u, 3u, 5u, 64u, 100'000u}) {
    PacketFollower follower;
    for (size_t at = 0; at < packets.size(); at += step) {
      follower.Feed(std::string_view(packets).substr(at, step));
      const size_t end = std::min(at + step, packets.size());
      const bool ends = end == 4 || end == 10 || end == packets.size();
      EXPECT_EQ(follower.inside(), !ends) << end;
    }
  }
}

}  // namespace
}  // namespace paceline::mysql::wire
