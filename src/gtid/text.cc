// The texts of GTIDs and sets, both flavors.
#include <algorithm>
#include <charconv>

#include "base/strings.h"
#include "gtid/set.h"

namespace paceline::gtid {
namespace {

constexpr size_t kTagLengthMax = 32;

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char LowerOf(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsTagStart(char c) { return c == '_' || (LowerOf(c) >= 'a' && LowerOf(c) <= 'z'); }
int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  c = LowerOf(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Reads tokens; white space before each is passed over.
class Scanner {
 public:
  Scanner(std::string_view what, std::string_view text) : what_(what), text_(text) {}

  bool AtEnd() { return SkipSpace(), at_ == text_.size(); }
  bool Take(char c) {
    SkipSpace();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool Take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  Result<uint64_t> Number(std::string_view name, uint64_t max) {
    SkipSpace();
    uint64_t value = 0;
    const char* begin = text_.data() + at_;
    auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (end == begin) return Expected(name);
    if (error != std::errc() || value > max) {
      return Bad(fmt::format("{} may be at most {}", name, max));
    }
    at_ += static_cast<size_t>(end - begin);
    return value;
  }
  // Nothing when no tag begins here.
  Result<std::optional<std::string>> Tag() {
    SkipSpace();
    if (at_ == text_.size() || !IsTagStart(text_[at_])) return std::nullopt;
    std::string tag;
    size_t begin = at_;
    while (at_ < text_.size() && (IsTagStart(text_[at_]) || IsDigit(text_[at_]))) {
      tag += LowerOf(text_[at_++]);
    }
    if (tag.size() > kTagLengthMax) {
      at_ = begin;
      return Bad(fmt::format("a tag has at most {} characters", kTagLengthMax));
    }
    return tag;
  }
  // 32 hex digits; dashes where they belong or none; braces allowed.
  Result<std::array<uint8_t, 16>> Uuid() {
    bool brace = Take('{');
    SkipSpace();
    std::array<uint8_t, 16> id{};
    bool dashes = text_.size() > at_ + 8 && text_[at_ + 8] == '-';
    for (size_t i = 0; i < 16; ++i) {
      if (dashes && (i == 4 || i == 6 || i == 8 || i == 10)) {
        if (at_ >= text_.size() || text_[at_] != '-') return Expected("'-' within a UUID");
        ++at_;
      }
      int high = at_ < text_.size() ? HexValue(text_[at_]) : -1;
      int low = at_ + 1 < text_.size() ? HexValue(text_[at_ + 1]) : -1;
      if (high < 0 || low < 0) return Expected("a UUID of 32 hex digits");
      id[i] = static_cast<uint8_t>(high << 4 | low);
      at_ += 2;
    }
    if (brace && !Take('}')) return Expected("'}' after the UUID");
    return id;
  }
  std::unexpected<Error> Expected(std::string_view what) {
    return Bad(fmt::format("expected {}", what));
  }
  std::unexpected<Error> Bad(std::string_view why) {
    size_t from = at_ > 40 ? at_ - 40 : 0;
    return Fail(Code::kInvalidArgument, "malformed {}: {} at character {}, here: \"{}{}[HERE]{}\"",
                what_, why, at_ + 1, from ? "..." : "", text_.substr(from, at_ - from),
                text_.substr(at_, 20));
  }

 private:
  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
  }
  std::string_view what_;
  std::string_view text_;
  size_t at_ = 0;
};

// After the colon: "5" or "3-5". mysqld takes 5-4 for nothing at all, and so do we.
Status ReadInterval(Scanner& in, const Source& source, Set& set) {
  ASSIGN_OR_RETURN(uint64_t first, in.Number("a sequence number", kMysqlSequenceMax));
  if (first == 0) return in.Bad("an interval starts at 1 or above");
  uint64_t last = first;
  if (in.Take('-')) {
    ASSIGN_OR_RETURN(last, in.Number("the end of an interval", kMysqlSequenceMax));
  }
  if (last >= first) set.Add(source, {first, last});
  return {};
}

Status ReadMysqlItem(Scanner& in, Set& set) {
  Source source;
  ASSIGN_OR_RETURN(source.id, in.Uuid());
  while (in.Take(':')) {
    ASSIGN_OR_RETURN(std::optional<std::string> tag, in.Tag());
    if (tag) {
      source.tag = std::move(*tag);
      continue;
    }
    RETURN_IF_ERROR(ReadInterval(in, source, set));
  }
  return {};
}

// "0-1-5", and "0-1-3..5" as ToString() writes a difference.
Status ReadMariadbItem(Scanner& in, Set& set) {
  ASSIGN_OR_RETURN(uint64_t domain, in.Number("a domain id", UINT32_MAX));
  if (!in.Take('-')) return in.Expected("'-' and a server id after the domain");
  ASSIGN_OR_RETURN(uint64_t server, in.Number("a server id", UINT32_MAX));
  if (!in.Take('-')) return in.Expected("'-' and a sequence number after the server id");
  ASSIGN_OR_RETURN(uint64_t first, in.Number("a sequence number", UINT64_MAX));
  uint64_t last = first;
  if (in.Take("..")) {
    ASSIGN_OR_RETURN(last, in.Number("the end of an interval", UINT64_MAX));
    if (first == 0 || last < first) return in.Bad("an interval ends before it starts");
  } else {
    first = 1;
  }
  // 0-1-0 is what a server without a transaction may report.
  if (last == 0) return {};
  set.Add(Source::Mariadb(static_cast<uint32_t>(domain), static_cast<uint32_t>(server)),
          {first, last});
  return {};
}

std::string_view WithoutPrefix(Flavor flavor, std::string_view text) {
  text = Trim(text);
  std::string_view name = FlavorName(flavor);
  if (text.starts_with(name) && text.size() > name.size() && text[name.size()] == '/') {
    text.remove_prefix(name.size() + 1);
  }
  return text;
}

void AppendNumber(std::string& out, uint64_t value) {
  char digits[20];
  auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end);
}

void AppendMariadb(std::string& out, const Source& source, Interval interval) {
  if (!out.empty()) out += ',';
  AppendNumber(out, source.domain());
  out += '-';
  AppendNumber(out, source.server_id());
  out += '-';
  if (interval.first != 1) {
    AppendNumber(out, interval.first);
    out += "..";
  }
  AppendNumber(out, interval.last);
}

}  // namespace

std::string_view FlavorName(Flavor flavor) {
  return flavor == Flavor::kMysql ? "MySQL56" : "MariaDB";
}

Result<Source> Source::Mysql(std::string_view uuid, std::string_view tag) {
  Source source;
  Scanner in("server UUID", uuid);
  ASSIGN_OR_RETURN(source.id, in.Uuid());
  if (!in.AtEnd()) return in.Expected("nothing after the UUID");
  if (!tag.empty()) {
    Scanner tag_in("GTID tag", tag);
    ASSIGN_OR_RETURN(std::optional<std::string> read, tag_in.Tag());
    if (!read || !tag_in.AtEnd()) {
      return tag_in.Expected("letters, digits and '_', not beginning with a digit");
    }
    source.tag = std::move(*read);
  }
  return source;
}

std::string Source::Uuid() const {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += kHex[id[i] >> 4];
    out += kHex[id[i] & 15];
  }
  return out;
}

Result<Gtid> Gtid::Parse(Flavor flavor, std::string_view text) {
  ASSIGN_OR_RETURN(Set set, Set::Parse(flavor, WithoutPrefix(flavor, text)));
  if (set.entries().size() == 1 && set.entries()[0].intervals.size() == 1) {
    const Set::Entry& entry = set.entries()[0];
    Interval i = entry.intervals[0];
    if (flavor == Flavor::kMariadb ? i.first == 1 : i.first == i.last) {
      return Gtid{entry.source, i.last};
    }
  }
  return Fail(Code::kInvalidArgument, "\"{}\" is not exactly one {} GTID", text,
              flavor == Flavor::kMysql ? "MySQL" : "MariaDB");
}

std::string Gtid::ToString() const {
  if (source.flavor == Flavor::kMariadb) {
    return fmt::format("{}-{}-{}", source.domain(), source.server_id(), sequence);
  }
  return fmt::format("{}:{}{}{}", source.Uuid(), source.tag, source.tag.empty() ? "" : ":",
                     sequence);
}

Result<Set> Set::Parse(Flavor flavor, std::string_view text) {
  Set set(flavor);
  bool mysql = flavor == Flavor::kMysql;
  Scanner in(mysql ? "MySQL GTID set" : "MariaDB GTID list", text);
  while (!in.AtEnd()) {
    if (in.Take(',')) continue;
    RETURN_IF_ERROR(mysql ? ReadMysqlItem(in, set) : ReadMariadbItem(in, set));
    if (!in.AtEnd() && !in.Take(',')) return in.Expected("','");
  }
  return set;
}

Result<Set> Set::ParseEncoded(std::string_view text) {
  text = Trim(text);
  if (text.empty()) return Set();
  for (Flavor flavor : {Flavor::kMysql, Flavor::kMariadb}) {
    std::string_view rest = WithoutPrefix(flavor, text);
    if (rest.size() != text.size()) return Parse(flavor, rest);
  }
  return Fail(Code::kInvalidArgument, "position \"{}\" does not begin with MySQL56/ or MariaDB/",
              text.substr(0, 80));
}

std::string Set::ToString() const {
  std::string out;
  const Source* previous = nullptr;
  for (const Entry& entry : entries_) {
    if (entry.source.flavor == Flavor::kMariadb) {
      for (const Interval& i : entry.intervals) AppendMariadb(out, entry.source, i);
      continue;
    }
    // Tags of one UUID follow each other within one item, the interval list without a tag first.
    if (previous == nullptr || previous->id != entry.source.id) {
      if (!out.empty()) out += ',';
      out += entry.source.Uuid();
    }
    if (!entry.source.tag.empty()) (out += ':') += entry.source.tag;
    for (const Interval& i : entry.intervals) {
      out += ':';
      AppendNumber(out, i.first);
      if (i.last != i.first) AppendNumber(out += '-', i.last);
    }
    previous = &entry.source;
  }
  return out;
}

std::string Set::ToEncoded() const {
  return fmt::format("{}/{}", FlavorName(flavor()), ToString());
}

std::string Set::ToPosition() const {
  if (flavor() == Flavor::kMysql) return ToString();
  std::string out;
  for (size_t i = 0; i < entries_.size();) {
    size_t best = i, next = i;
    while (next < entries_.size() &&
           entries_[next].source.domain() == entries_[i].source.domain()) {
      if (entries_[next].intervals.back().last >= entries_[best].intervals.back().last) best = next;
      ++next;
    }
    AppendMariadb(out, entries_[best].source, {1, entries_[best].intervals.back().last});
    i = next;
  }
  return out;
}

}  // namespace paceline::gtid
