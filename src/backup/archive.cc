#include "backup/archive.h"

#include <xxhash.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "base/strings.h"
#include "mysql/wire/codec.h"

namespace paceline::backup {
namespace {

constexpr std::string_view kMagic = "PLA1";
constexpr size_t kPrefixBytes = 16;
constexpr size_t kManifestMax = 16u << 20;
constexpr int kFormat = 1;

std::map<uint32_t, uint64_t> LastOfDomains(const gtid::Set& set) {
  std::map<uint32_t, uint64_t> last;
  for (const gtid::Set::Entry& entry : set.entries()) {
    uint64_t& sequence = last[entry.source.domain()];
    sequence = std::max(sequence, entry.intervals.back().last);
  }
  return last;
}

std::string ToJson(const SegmentManifest& m) {
  nlohmann::ordered_json json = {{"Format", kFormat},
                                 {"Run", m.run},
                                 {"Number", m.number},
                                 {"Server", m.server},
                                 {"Log", m.log},
                                 {"FormatEvent", HexEncode(m.format)},
                                 {"Flavor", gtid::FlavorName(m.flavor)},
                                 {"From", m.before.ToString()},
                                 {"To", m.after.ToString()},
                                 {"Transactions", m.transactions},
                                 {"Open", m.open},
                                 {"FirstTime", m.first_unix_s},
                                 {"LastTime", m.last_unix_s},
                                 {"WrittenNs", m.written.unix_ns},
                                 {"Compression", CompressionName(m.compression)},
                                 {"Salt", m.salt},
                                 {"Bytes", m.bytes},
                                 {"Frames", m.frames},
                                 {"Ddl", nlohmann::ordered_json::array()}};
  for (const ArchivedDdl& ddl : m.ddl) {
    json["Ddl"].push_back({{"Gtid", ddl.gtid},
                           {"Time", ddl.unix_s},
                           {"Database", ddl.database},
                           {"Statement", ddl.statement}});
  }
  // Statements are in whatever character set their session had.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<SegmentManifest> FromJson(std::string_view text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Fail(Code::kDataLoss, "its manifest is damaged");
  SegmentManifest m;
  try {
    if (json.at("Format") != kFormat) {
      return Fail(Code::kDataLoss, "its manifest has format {}, this version reads {}",
                  json.at("Format").dump(), kFormat);
    }
    m.run = json.at("Run");
    m.number = json.at("Number");
    m.server = json.at("Server");
    m.log = json.at("Log");
    m.flavor = json.at("Flavor") == gtid::FlavorName(gtid::Flavor::kMariadb)
                   ? gtid::Flavor::kMariadb
                   : gtid::Flavor::kMysql;
    ASSIGN_OR_RETURN(m.before, gtid::Set::Parse(m.flavor, json.at("From").get<std::string>()));
    ASSIGN_OR_RETURN(m.after, gtid::Set::Parse(m.flavor, json.at("To").get<std::string>()));
    std::optional<std::string> format = HexDecode(json.at("FormatEvent").get<std::string>());
    if (!format) return Fail(Code::kDataLoss, "its manifest is damaged");
    m.format = *format;
    m.transactions = json.at("Transactions");
    m.open = json.at("Open");
    m.first_unix_s = json.at("FirstTime");
    m.last_unix_s = json.at("LastTime");
    m.written.unix_ns = json.at("WrittenNs");
    ASSIGN_OR_RETURN(m.compression, ParseCompression(json.at("Compression").get<std::string>()));
    m.salt = json.at("Salt");
    m.bytes = json.at("Bytes");
    m.frames = json.at("Frames");
    for (const auto& one : json.at("Ddl")) {
      m.ddl.push_back({one.at("Gtid"), one.at("Time"), one.at("Database"), one.at("Statement")});
    }
  } catch (const nlohmann::json::exception& error) {
    return Fail(Code::kDataLoss, "its manifest is damaged: {}", error.what());
  }
  return m;
}

Status ReadFull(ObjectReader& from, size_t bytes, std::string* out) {
  size_t had = out->size();
  out->resize(had + bytes);
  while (bytes > 0) {
    ASSIGN_OR_RETURN(size_t got, from.Read(out->data() + had, bytes));
    if (got == 0) return Fail(Code::kDataLoss, "it ends too early");
    had += got;
    bytes -= got;
  }
  return {};
}

Result<SegmentManifest> ReadHead(ObjectReader& from) {
  std::string prefix;
  RETURN_IF_ERROR(ReadFull(from, kPrefixBytes, &prefix));
  if (!prefix.starts_with(kMagic)) return Fail(Code::kDataLoss, "it is no segment of an archive");
  mysql::wire::Reader in(std::string_view(prefix).substr(kMagic.size()));
  uint32_t size = in.U32();
  uint64_t sum = in.U64();
  if (size > kManifestMax) return Fail(Code::kDataLoss, "its manifest is damaged");
  std::string text;
  RETURN_IF_ERROR(ReadFull(from, size, &text));
  if (XXH3_64bits(text.data(), text.size()) != sum)
    return Fail(Code::kDataLoss, "the checksum of its manifest does not fit");
  return FromJson(text);
}

Result<FrameOptions> FramesOf(const SegmentManifest& manifest, const std::string& secret) {
  FrameOptions options;
  options.compression = manifest.compression;
  if (manifest.salt.empty()) return options;
  if (secret.empty()) {
    return Fail(Code::kPermissionDenied, "it is encrypted: give --backup-encryption-key-file");
  }
  std::optional<std::string> salt = HexDecode(manifest.salt);
  if (!salt) return Fail(Code::kDataLoss, "its salt is damaged");
  options.secret = secret;
  options.salt = *salt;
  return options;
}

}  // namespace

bool ArchivePosition::Has(const gtid::Gtid& gtid) const {
  if (gtid.source.flavor == gtid::Flavor::kMysql) return set_.Contains(gtid);
  for (const gtid::Set::Entry& entry : set_.entries()) {
    if (entry.source.domain() == gtid.source.domain() &&
        entry.intervals.back().last >= gtid.sequence)
      return true;
  }
  return false;
}

bool ArchivePosition::Covers(const gtid::Set& other) const {
  if (other.Empty()) return true;
  if (other.flavor() == gtid::Flavor::kMysql) return set_.Contains(other);
  std::map<uint32_t, uint64_t> mine = LastOfDomains(set_), wanted = LastOfDomains(other);
  return std::ranges::all_of(wanted,
                             [&](const auto& one) { return mine[one.first] >= one.second; });
}

std::string ArchivePosition::Lacks(const gtid::Set& other) const {
  if (other.flavor() == gtid::Flavor::kMysql) return other.Subtract(set_).ToString();
  return fmt::format("what lies between {} and {}", set_.ToPosition(), other.ToPosition());
}

std::string FormatRun(WallTime start, const record::TabletAlias& alias) {
  return fmt::format("{:013}-{}", start.unix_ns / 1'000'000, alias.ToString());
}

Result<Archive> Archive::Of(std::shared_ptr<Storage> storage, const std::string& keyspace,
                            const std::string& shard, std::string secret) {
  RETURN_IF_ERROR(CheckPathPart("keyspace", keyspace));
  RETURN_IF_ERROR(CheckPathPart("shard", shard));
  return Archive(std::move(storage), keyspace + "/" + shard + "/archive", std::move(secret));
}

std::string Archive::PathOf(const std::string& run, uint64_t number) const {
  return fmt::format("{}/{}/{:010}", folder_, run, number);
}

Result<std::vector<ArchiveRun>> Archive::Runs() const {
  ASSIGN_OR_RETURN(std::vector<std::string> names, storage_->List(folder_));
  std::vector<ArchiveRun> runs;
  for (std::string& name : names) {
    ASSIGN_OR_RETURN(std::vector<std::string> objects, storage_->List(folder_ + "/" + name));
    ArchiveRun run{std::move(name), {}};
    for (const std::string& object : objects) {
      if (std::optional<uint64_t> number = ParseUint(object); number && object.size() == 10)
        run.segments.push_back(*number);
    }
    std::ranges::sort(run.segments);
    if (!run.segments.empty()) runs.push_back(std::move(run));
  }
  std::ranges::sort(runs, {}, &ArchiveRun::name);
  return runs;
}

Status Archive::Write(const Segment& segment) const {
  SegmentManifest manifest = segment.manifest;
  if (encrypted()) manifest.salt = HexEncode(RandomBytes(16));
  ASSIGN_OR_RETURN(FrameOptions options, FramesOf(manifest, secret_));
  std::string frames;
  std::string_view rest = segment.events;
  manifest.bytes = rest.size();
  manifest.frames = 0;
  do {
    std::string_view raw = rest.substr(0, kFrameBytes);
    rest.remove_prefix(raw.size());
    ASSIGN_OR_RETURN(std::string frame, MakeFrame(options, manifest.frames, raw, rest.empty()));
    frames += frame;
    ++manifest.frames;
  } while (!rest.empty());
  std::string text = ToJson(manifest), object(kMagic);
  mysql::wire::PutU32(&object, static_cast<uint32_t>(text.size()));
  mysql::wire::PutU64(&object, XXH3_64bits(text.data(), text.size()));
  object += text;
  object += frames;
  return storage_->Put(PathOf(manifest.run, manifest.number), object);
}

Result<SegmentManifest> Archive::ReadManifest(const std::string& run, uint64_t number) const {
  std::string path = PathOf(run, number);
  ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader, storage_->Open(path));
  Result<SegmentManifest> manifest = ReadHead(*reader);
  if (!manifest) return Fail(manifest.error().Context(path));
  if (manifest->run != run || manifest->number != number)
    return Fail(Code::kDataLoss, "{} holds segment {} of run {}", path, manifest->number,
                manifest->run);
  return manifest;
}

Result<Segment> Archive::Read(const std::string& run, uint64_t number) const {
  std::string path = PathOf(run, number);
  auto read = [&]() -> Result<Segment> {
    ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader, storage_->Open(path));
    Segment segment;
    ASSIGN_OR_RETURN(segment.manifest, ReadHead(*reader));
    ASSIGN_OR_RETURN(FrameOptions options, FramesOf(segment.manifest, secret_));
    for (uint32_t frame = 0; frame < segment.manifest.frames; ++frame) {
      std::string head, stored;
      RETURN_IF_ERROR(ReadFull(*reader, kFrameHeaderBytes, &head));
      ASSIGN_OR_RETURN(FrameHeader header, ReadFrameHeader(head));
      RETURN_IF_ERROR(ReadFull(*reader, header.stored_bytes, &stored));
      ASSIGN_OR_RETURN(std::string raw, OpenFrame(options, frame, head, stored));
      segment.events += raw;
    }
    if (segment.events.size() != segment.manifest.bytes)
      return Fail(Code::kDataLoss, "it is not as long as its manifest says");
    return segment;
  };
  Result<Segment> segment = read();
  if (!segment) return Fail(segment.error().Context(path));
  return segment;
}

Result<std::optional<gtid::Set>> Archive::Position() const {
  ASSIGN_OR_RETURN(std::vector<ArchiveRun> runs, Runs());
  std::optional<gtid::Set> position;
  for (const ArchiveRun& run : runs) {
    ASSIGN_OR_RETURN(SegmentManifest last, ReadManifest(run.name, run.segments.back()));
    position = position ? position->Union(last.after) : last.after;
  }
  return position;
}

Result<size_t> Archive::Prune(const gtid::Set& position) const {
  ASSIGN_OR_RETURN(std::vector<ArchiveRun> runs, Runs());
  const ArchivePosition needless(position);
  size_t removed = 0;
  for (size_t i = 0; i + 1 < runs.size(); ++i) {
    const ArchiveRun& run = runs[i];
    ASSIGN_OR_RETURN(SegmentManifest last, ReadManifest(run.name, run.segments.back()));
    if (!needless.Covers(last.after)) break;
    for (uint64_t number : run.segments)
      RETURN_IF_ERROR(storage_->RemoveAll(PathOf(run.name, number)));
    RETURN_IF_ERROR(storage_->RemoveAll(folder_ + "/" + run.name));
    ++removed;
  }
  return removed;
}

Result<std::vector<SegmentManifest>> Archive::Manifests(const gtid::Set& have) const {
  ASSIGN_OR_RETURN(std::vector<ArchiveRun> runs, Runs());
  std::vector<SegmentManifest> manifests;
  ArchivePosition position(have);
  for (const ArchiveRun& run : runs) {
    if (!have.Empty()) {
      ASSIGN_OR_RETURN(SegmentManifest last, ReadManifest(run.name, run.segments.back()));
      if (position.Covers(last.after)) continue;
    }
    for (size_t i = 0; i < run.segments.size(); ++i) {
      if (i > 0 && run.segments[i] != run.segments[i - 1] + 1) {
        return Fail(Code::kDataLoss, "segment {} is missing in {}",
                    PathOf(run.name, run.segments[i - 1] + 1), storage_->Describe());
      }
      ASSIGN_OR_RETURN(SegmentManifest manifest, ReadManifest(run.name, run.segments[i]));
      manifests.push_back(std::move(manifest));
    }
  }
  return manifests;
}

}  // namespace paceline::backup
