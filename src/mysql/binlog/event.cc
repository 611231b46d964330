#include "mysql/binlog/event.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/strings.h"
#include "gtid/sid_block.h"
#include "mysql/wire/codec.h"

namespace paceline::mysql::binlog {
namespace {

using wire::Reader;

std::unexpected<Error> Torn(std::string_view what) {
  return Fail(Code::kDataLoss, "a {} event of a binary log is malformed", what);
}

// The numbers of tagged GTID events: the low one bits of the first byte count the bytes that
// follow, the value stands above them, little-endian.
uint64_t Varlen(Reader& in) {
  uint8_t first = in.U8();
  size_t more = 0;
  while (more < 8 && (first >> more & 1) != 0) ++more;
  if (more == 8) return in.U64();
  uint64_t value = in.Fixed(more) << 8 | first;
  return value >> (more + 1);
}
int64_t SignedVarlen(Reader& in) {
  uint64_t raw = Varlen(in);
  return static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
}

// A message of numbered fields; the first four name the transaction.
Result<GtidEvent> ParseTagged(std::string_view body) {
  enum Field : uint64_t { kFlags = 0, kUuid = 1, kSequence = 2, kTag = 3 };
  Reader in(body);
  uint64_t version = Varlen(in);
  if (version != 1)
    return Fail(Code::kUnimplemented, "tagged GTID events of version {} are not known", version);
  Varlen(in);  // size
  Varlen(in);  // the last field that must be understood
  GtidEvent event;
  for (uint64_t wanted : {kFlags, kUuid, kSequence, kTag}) {
    if (Varlen(in) != wanted) return Torn("tagged GTID");
    switch (wanted) {
      case kFlags:
        Varlen(in);
        break;
      case kUuid:
        for (uint8_t& byte : event.gtid.source.id) byte = static_cast<uint8_t>(Varlen(in));
        break;
      case kSequence:
        event.gtid.sequence = static_cast<uint64_t>(SignedVarlen(in));
        break;
      default: {
        uint64_t size = Varlen(in);
        if (size > 32) return Torn("tagged GTID");
        event.gtid.source.tag = in.Bytes(size);
      }
    }
  }
  if (!in.ok() || event.gtid.sequence == 0 || event.gtid.sequence > gtid::kMysqlSequenceMax)
    return Torn("tagged GTID");
  return event;
}

Result<GtidEvent> ParseMariadb(const Header& header, std::string_view body) {
  enum Flags : uint8_t {
    kStandalone = 1,
    kTransactional = 4,
    kDdl = 32,
    kPreparedXa = 64,
    kCompletedXa = 128
  };
  Reader in(body);
  GtidEvent event;
  event.gtid.sequence = in.U64();
  uint32_t domain = in.U32();
  uint8_t flags = in.U8();
  if (!in.ok() || event.gtid.sequence == 0) return Torn("GTID");
  event.gtid.source = gtid::Source::Mariadb(domain, header.server_id);
  event.standalone = (flags & kStandalone) != 0;
  event.ddl = (flags & kDdl) != 0;
  event.transactional = (flags & kTransactional) != 0;
  event.xa = (flags & (kPreparedXa | kCompletedXa)) != 0;
  return event;
}

Result<std::string> Decompress(std::string_view packed, uint64_t size) {
  if (size > kPayloadMax) {
    return Fail(Code::kResourceExhausted,
                "a compressed transaction unpacks to {} MB, more than the {} MB that are read",
                size >> 20, kPayloadMax >> 20);
  }
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  std::string out(size, '\0');
  ZSTD_inBuffer from{packed.data(), packed.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  while (from.pos < from.size) {
    size_t in_before = from.pos, out_before = to.pos;
    size_t left = ZSTD_decompressStream(context.get(), &to, &from);
    if (ZSTD_isError(left) != 0) {
      return Fail(Code::kDataLoss, "a compressed transaction cannot be unpacked: {}",
                  ZSTD_getErrorName(left));
    }
    if (from.pos == in_before && to.pos == out_before) break;
  }
  if (to.pos != size || from.pos != from.size)
    return Fail(Code::kDataLoss, "a compressed transaction is not as long as it says");
  return out;
}

}  // namespace

bool IsRows(uint8_t type) {
  return (type >= kWriteRowsV1 && type <= kDeleteRowsV1) ||
         (type >= kWriteRows && type <= kDeleteRows) || type == kPartialUpdateRows ||
         (type >= kMariaWriteRowsCompressedV1 && type <= kMariaDeleteRowsCompressed);
}

Header ParseHeader(std::string_view bytes) {
  Reader in(bytes);
  Header header;
  header.unix_s = in.U32();
  header.type = in.U8();
  header.server_id = in.U32();
  header.size = in.U32();
  header.position = in.U32();
  header.flags = in.U16();
  return header;
}

uint32_t ChecksumOf(std::string_view event) {
  auto* bytes = reinterpret_cast<const Bytef*>(event.data());
  if (event.size() < kHeaderSize || static_cast<uint8_t>(event[4]) != kFormat)
    return static_cast<uint32_t>(crc32_z(0, bytes, event.size()));
  // The flag is set and cleared while the log is open, and the checksum stays.
  constexpr size_t kFlagsAt = 17;
  Bytef low = static_cast<Bytef>(bytes[kFlagsAt] & ~kFlagInUse);
  uLong sum = crc32_z(0, bytes, kFlagsAt);
  sum = crc32_z(sum, &low, 1);
  return static_cast<uint32_t>(crc32_z(sum, bytes + kFlagsAt + 1, event.size() - kFlagsAt - 1));
}

Result<Format> ParseFormat(std::string_view body) {
  constexpr size_t kServerSize = 50;
  Reader in(body);
  uint16_t version = in.U16();
  if (in.ok() && version != 4)
    return Fail(Code::kUnimplemented, "binary logs of format {} are not read, only of 4", version);
  std::string_view server = in.Bytes(kServerSize);
  Format format;
  format.server = server.substr(0, server.find('\0'));
  format.created_unix_s = in.U32();
  uint8_t header_size = in.U8();
  if (!in.ok() || header_size != kHeaderSize || in.remaining() < 1) return Torn("Format");
  uint8_t algorithm = static_cast<uint8_t>(body.back());
  if (algorithm > 1)
    return Fail(Code::kUnimplemented, "checksum algorithm {} of a binary log is not known",
                algorithm);
  format.checksums = algorithm == 1;
  return format;
}

Result<GtidEvent> ParseGtid(const Header& header, std::string_view body) {
  if (header.type == kTaggedGtid) return ParseTagged(body);
  if (header.type == kMariaGtid) return ParseMariadb(header, body);
  Reader in(body);
  GtidEvent event;
  in.U8();
  std::string_view id = in.Bytes(event.gtid.source.id.size());
  event.gtid.sequence = in.U64();
  if (!in.ok()) return Torn("GTID");
  std::copy(id.begin(), id.end(), reinterpret_cast<char*>(event.gtid.source.id.data()));
  if (header.type == kAnonymousGtid) {
    event.gtid.sequence = 0;
  } else if (event.gtid.sequence == 0 || event.gtid.sequence > gtid::kMysqlSequenceMax) {
    return Torn("GTID");
  }
  return event;
}

Result<gtid::Set> ParsePrevious(uint8_t type, std::string_view body) {
  if (type == kPreviousGtids) return gtid::FromSidBlock(body);
  Reader in(body);
  gtid::Set set(gtid::Flavor::kMariadb);
  uint32_t count = in.U32() & 0x0fffffff;  // the upper bits are flags
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    uint32_t domain = in.U32();
    uint32_t server_id = in.U32();
    uint64_t sequence = in.U64();
    if (in.ok() && sequence > 0) set.Add({gtid::Source::Mariadb(domain, server_id), sequence});
  }
  if (!in.ok()) return Torn("GTID list");
  return set;
}

Result<Query> ParseQuery(std::string_view body) {
  Reader in(body);
  Query query;
  query.thread_id = in.U32();
  in.U32();  // seconds it ran
  size_t database = in.U8();
  in.U16();  // error
  in.Skip(in.U16());
  query.database = in.Bytes(database);
  in.U8();
  query.text = in.TakeRest();
  if (!in.ok()) return Torn("Query");
  return query;
}

std::string_view StatementText(uint8_t type, std::string_view body) {
  // MySQL's begins with a length in one byte that is too short for most texts.
  if (type == kRowsQuery) body.remove_prefix(std::min<size_t>(1, body.size()));
  return body;
}

Result<std::string> UnpackPayload(std::string_view body) {
  enum Field : uint64_t { kEnd = 0, kSize = 1, kCompression = 2, kUnpackedSize = 3 };
  constexpr uint64_t kZstd = 0, kNone = 255;
  Reader in(body);
  uint64_t size = 0, compression = kNone, unpacked = 0;
  for (;;) {
    uint64_t field = in.Lenenc();
    if (!in.ok()) return Torn("compressed transaction");
    if (field == kEnd) break;
    Reader value(in.LenencBytes());
    if (field == kSize) size = value.Lenenc();
    if (field == kCompression) compression = value.Lenenc();
    if (field == kUnpackedSize) unpacked = value.Lenenc();
    if (!in.ok() || ((field >= kSize && field <= kUnpackedSize) && !value.ok()))
      return Torn("compressed transaction");
  }
  if (in.remaining() != size) return Torn("compressed transaction");
  if (compression == kNone) return std::string(in.rest());
  if (compression != kZstd)
    return Fail(Code::kUnimplemented, "compression {} of a transaction is not known", compression);
  return Decompress(in.rest(), unpacked);
}

Status ForEachInner(std::string_view events,
                    const std::function<Status(const Header&, std::string_view event)>& each) {
  while (!events.empty()) {
    if (events.size() < kHeaderSize) return Torn("compressed transaction");
    Header header = ParseHeader(events);
    if (header.size < kHeaderSize || header.size > events.size())
      return Torn("compressed transaction");
    RETURN_IF_ERROR(each(header, events.substr(0, header.size)));
    events.remove_prefix(header.size);
  }
  return {};
}

}  // namespace paceline::mysql::binlog
