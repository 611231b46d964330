#include "gtid/sid_block.h"

namespace paceline::gtid {
namespace {

void Put64(std::string& out, uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  size_t left() const { return bytes_.size() - at_; }
  Result<std::string_view> Take(size_t size, std::string_view what) {
    if (left() < size) {
      return Fail(Code::kInvalidArgument,
                  "malformed binary GTID set: it ends at byte {} of {} within {}", at_,
                  bytes_.size(), what);
    }
    std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  Result<uint64_t> Number(std::string_view what) {
    ASSIGN_OR_RETURN(std::string_view raw, Take(8, what));
    uint64_t value = 0;
    for (size_t i = 8; i-- > 0;) value = value << 8 | static_cast<uint8_t>(raw[i]);
    return value;
  }
  std::unexpected<Error> Bad(std::string_view why) const {
    return Fail(Code::kInvalidArgument, "malformed binary GTID set: {} before byte {}", why, at_);
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

Result<Source> ReadSource(Reader& in, bool tagged) {
  Source source;
  ASSIGN_OR_RETURN(std::string_view id, in.Take(source.id.size(), "a UUID"));
  std::copy(id.begin(), id.end(), reinterpret_cast<char*>(source.id.data()));
  if (!tagged) return source;
  ASSIGN_OR_RETURN(std::string_view length, in.Take(1, "the length of a tag"));
  // An odd first byte would begin a longer number, and no tag is that long.
  uint8_t twice = static_cast<uint8_t>(length[0]);
  if (twice % 2 != 0 || twice > 64) return in.Bad("a tag is too long");
  ASSIGN_OR_RETURN(std::string_view tag, in.Take(twice / 2, "a tag"));
  source.tag = tag;
  return source;
}

}  // namespace

Result<std::string> ToSidBlock(const Set& set) {
  bool tagged = false;
  for (const Set::Entry& entry : set.entries()) {
    if (entry.source.flavor != Flavor::kMysql) {
      return Fail(Code::kInvalidArgument, "MariaDB set {} has no binary form of MySQL's",
                  set.ToString());
    }
    tagged |= !entry.source.tag.empty();
  }
  std::string out;
  uint64_t count = set.entries().size();
  Put64(out, tagged ? uint64_t{1} << 56 | count << 8 | 1 : count);
  for (const Set::Entry& entry : set.entries()) {
    out.append(reinterpret_cast<const char*>(entry.source.id.data()), entry.source.id.size());
    if (tagged) (out += static_cast<char>(entry.source.tag.size() * 2)) += entry.source.tag;
    Put64(out, entry.intervals.size());
    for (const Interval& i : entry.intervals) {
      Put64(out, i.first);
      Put64(out, i.last + 1);
    }
  }
  return out;
}

Result<Set> FromSidBlock(std::string_view bytes) {
  Reader in(bytes);
  Set set(Flavor::kMysql);
  ASSIGN_OR_RETURN(uint64_t sources, in.Number("the number of sources"));
  bool tagged = sources >> 56 == 1;
  if (sources >> 56 > 1 || (tagged && (sources & 0xff) != 1)) return in.Bad("unknown format");
  if (tagged) sources = sources >> 8 & 0xffffffffffff;
  for (uint64_t s = 0; s < sources; ++s) {
    ASSIGN_OR_RETURN(Source source, ReadSource(in, tagged));
    ASSIGN_OR_RETURN(uint64_t intervals, in.Number("the number of intervals"));
    for (uint64_t i = 0; i < intervals; ++i) {
      ASSIGN_OR_RETURN(uint64_t first, in.Number("an interval"));
      ASSIGN_OR_RETURN(uint64_t end, in.Number("an interval"));
      if (first == 0 || end <= first || end > kMysqlSequenceMax + 1) {
        return in.Bad("an interval is empty or out of range");
      }
      set.Add(source, {first, end - 1});
    }
  }
  if (in.left() != 0) return in.Bad("bytes are left over");
  return set;
}

}  // namespace paceline::gtid
