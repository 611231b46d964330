// base/rng.h - randomness as a port, so that simulations replay exactly.
#pragma once

#include <cstdint>
#include <string>

namespace paceline {

class Rng {
 public:
  virtual ~Rng() = default;
  virtual uint64_t Next() = 0;
  // Uniform in [0, bound). REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
};

// Same seed, same sequence (xoshiro256** by Blackman and Vigna).
class SeededRng final : public Rng {
 public:
  explicit SeededRng(uint64_t seed);
  uint64_t Next() override;

 private:
  uint64_t state_[4];
};

// Per-thread generator seeded by the kernel. Not for secrets.
Rng& ThreadRng();
// `size` bytes from the kernel's generator (getrandom), for salts and keys.
std::string RandomBytes(size_t size);
// A random version 4 UUID in lower case.
std::string NewUuid();

}  // namespace paceline
