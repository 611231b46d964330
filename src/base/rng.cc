#include "base/rng.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <bit>

#include "base/check.h"

namespace paceline {

SeededRng::SeededRng(uint64_t seed) {
  for (uint64_t& word : state_) {  // splitmix64, as the authors of xoshiro advise for seeding
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    word = z ^ (z >> 31);
  }
}

uint64_t SeededRng::Next() {
  uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t got = getrandom(bytes.data() + done, size - done, 0);
    CHECK_MSG(got > 0, "getrandom failed");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

Rng& ThreadRng() {
  thread_local SeededRng rng([] {
    std::string bytes = RandomBytes(8);
    uint64_t seed = 0;
    for (char c : bytes) seed = seed << 8 | static_cast<uint8_t>(c);
    return seed;
  }());
  return rng;
}

std::string NewUuid() {
  std::string b = RandomBytes(16);
  b[6] = static_cast<char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<char>((b[8] & 0x3f) | 0x80);
  std::string out;
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += fmt::format("{:02x}", static_cast<uint8_t>(b[i]));
  }
  return out;
}

}  // namespace paceline
