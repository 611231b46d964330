#include "native/frame.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace paceline::native {
namespace {

struct Whole {
  FrameHeader header;
  std::string payload;
  friend bool operator==(const Whole&, const Whole&) = default;
};

// Feeds `bytes` in the given chunks and joins the pieces of each frame. False when the splitter
// broke.
bool Split(std::string_view bytes, const std::vector<size_t>& cuts, std::vector<Whole>* frames) {
  FrameSplitter splitter;
  std::string payload;
  size_t begin = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    size_t end = i < cuts.size() ? cuts[i] : bytes.size();
    std::string chunk(bytes.substr(begin, end - begin));
    begin = end;
    std::string_view input = chunk;
    FrameSplitter::Piece piece;
    for (;;) {
      FrameSplitter::Outcome outcome = splitter.Next(&input, &piece);
      if (outcome == FrameSplitter::Outcome::kBroken) return false;
      if (outcome == FrameSplitter::Outcome::kNeedInput) break;
      EXPECT_EQ(piece.offset, payload.size());
      payload.append(piece.bytes);
      if (!piece.ends) continue;
      frames->push_back({piece.header, std::move(payload)});
      payload.clear();
    }
    EXPECT_TRUE(input.empty());
  }
  return true;
}

std::vector<Whole> Sample() {
  return {
      {{.length = 0, .request = 1, .type = FrameType::kPing}, ""},
      {{.length = 5, .request = 7, .type = FrameType::kData, .flags = kFlagMetaEnd, .meta = 3},
       "abcde"},
      {{.length = 0, .request = 7, .type = FrameType::kData}, ""},
      {{.length = 4, .request = 9, .type = FrameType::kQuery, .flags = kFlagMore}, "wxyz"},
      {{.length = 2, .request = 7, .type = FrameType::kEnd, .flags = kFlagLast}, "ok"},
  };
}

std::string Encode(const std::vector<Whole>& frames) {
  std::string bytes;
  for (const Whole& frame : frames) AppendFrame(&bytes, frame.header, frame.payload);
  return bytes;
}

TEST(FrameSplitter, CutAtEveryByteGivesTheSameFrames) {
  const std::vector<Whole> sample = Sample();
  const std::string bytes = Encode(sample);
  for (size_t a = 0; a <= bytes.size(); ++a) {
    for (size_t b = a; b <= bytes.size(); ++b) {
      std::vector<Whole> frames;
      ASSERT_TRUE(Split(bytes, {a, b}, &frames));
      ASSERT_EQ(frames, sample) << "cut at " << a << " and " << b;
    }
  }
}

TEST(FrameSplitter, OneByteAtATime) {
  const std::string bytes = Encode(Sample());
  std::vector<size_t> cuts;
  for (size_t i = 0; i < bytes.size(); ++i) cuts.push_back(i);
  std::vector<Whole> frames;
  ASSERT_TRUE(Split(bytes, cuts, &frames));
  EXPECT_EQ(frames, Sample());
}

TEST(FrameSplitter, DataIsHandedOnBeforeItsFrameIsWhole) {
  std::string bytes;
  AppendFrame(&bytes, {.request = 1, .type = FrameType::kData}, std::string(1000, 'r'));
  FrameSplitter splitter;
  std::string_view input = std::string_view(bytes).substr(0, kHeaderBytes + 10);
  FrameSplitter::Piece piece;
  ASSERT_EQ(splitter.Next(&input, &piece), FrameSplitter::Outcome::kPiece);
  EXPECT_EQ(piece.bytes.size(), 10u);
  EXPECT_FALSE(piece.ends);
  EXPECT_TRUE(splitter.in_frame());
}

TEST(FrameSplitter, RefusesWhatExceedsItsLimit) {
  for (FrameHeader header : {FrameHeader{.length = kMaxDataBytes + 1, .type = FrameType::kData},
                             FrameHeader{.length = 10, .type = FrameType::kData, .meta = 11},
                             FrameHeader{.length = kMaxControlBytes + 1, .type = FrameType::kEnd},
                             FrameHeader{.type = static_cast<FrameType>(0)},
                             FrameHeader{.type = static_cast<FrameType>(99)}}) {
    std::string bytes;
    AppendHeader(&bytes, header);
    std::vector<Whole> frames;
    EXPECT_FALSE(Split(bytes, {}, &frames));
  }
}

TEST(FrameSplitter, NoiseNeverReadsOutside) {
  SeededRng rng(20261122);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = Encode(Sample());
    for (uint64_t i = rng.Below(8); i > 0; --i) {
      bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Next());
    }
    bytes.resize(rng.Below(bytes.size() + 1));
    std::vector<size_t> cuts;
    for (size_t at = 0; at < bytes.size(); at += 1 + rng.Below(20)) cuts.push_back(at);
    std::vector<Whole> frames;
    [[maybe_unused]] bool good = Split(bytes, cuts, &frames);
  }
}

}  // namespace
}  // namespace paceline::native
