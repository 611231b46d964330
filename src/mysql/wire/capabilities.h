// mysql/wire/capabilities.h - what client and server may agree on. Low 32 bits: MySQL's CLIENT_*
// flags; high 32 bits: MariaDB's extended flags, which travel in the reserved bytes of the greeting
// and the login when CLIENT_MYSQL (bit 0) is off on the server's side. Source: MySQL's
// "Capabilities Flags", MariaDB's "Connection protocol".
#pragma once

#include <cstdint>

namespace paceline::mysql::wire {

using Capabilities = uint64_t;

inline constexpr Capabilities kClientLongPassword = 1u << 0;  // MariaDB reads it as CLIENT_MYSQL
inline constexpr Capabilities kClientFoundRows = 1u << 1;
inline constexpr Capabilities kClientLongFlag = 1u << 2;
inline constexpr Capabilities kClientConnectWithDb = 1u << 3;
inline constexpr Capabilities kClientNoSchema = 1u << 4;
inline constexpr Capabilities kClientCompress = 1u << 5;
inline constexpr Capabilities kClientOdbc = 1u << 6;
inline constexpr Capabilities kClientLocalFiles = 1u << 7;
inline constexpr Capabilities kClientIgnoreSpace = 1u << 8;
inline constexpr Capabilities kClientProtocol41 = 1u << 9;
inline constexpr Capabilities kClientInteractive = 1u << 10;
inline constexpr Capabilities kClientSsl = 1u << 11;
inline constexpr Capabilities kClientIgnoreSigpipe = 1u << 12;
inline constexpr Capabilities kClientTransactions = 1u << 13;
inline constexpr Capabilities kClientSecureConnection = 1u << 15;
inline constexpr Capabilities kClientMultiStatements = 1u << 16;
inline constexpr Capabilities kClientMultiResults = 1u << 17;
inline constexpr Capabilities kClientPsMultiResults = 1u << 18;
inline constexpr Capabilities kClientPluginAuth = 1u << 19;
inline constexpr Capabilities kClientConnectAttrs = 1u << 20;
inline constexpr Capabilities kClientPluginAuthLenenc = 1u << 21;
inline constexpr Capabilities kClientExpiredPasswords = 1u << 22;
inline constexpr Capabilities kClientSessionTrack = 1u << 23;
inline constexpr Capabilities kClientDeprecateEof = 1u << 24;
inline constexpr Capabilities kClientOptionalMetadata = 1u << 25;
inline constexpr Capabilities kClientZstd = 1u << 26;
inline constexpr Capabilities kClientQueryAttributes = 1u << 27;
inline constexpr Capabilities kClientMultiFactor = 1u << 28;

inline constexpr Capabilities kMariadbProgress = Capabilities{1} << 32;
inline constexpr Capabilities kMariadbComMulti = Capabilities{1} << 33;
inline constexpr Capabilities kMariadbStmtBulk = Capabilities{1} << 34;
inline constexpr Capabilities kMariadbExtendedMetadata = Capabilities{1} << 35;
inline constexpr Capabilities kMariadbCacheMetadata = Capabilities{1} << 36;
inline constexpr Capabilities kMariadbBulkUnitResults = Capabilities{1} << 37;
inline constexpr Capabilities kMariadbMask = Capabilities{0xffffffff} << 32;

// What every backend connection of ours asks for, beside FOUND_ROWS, a database or TLS. A server
// that lacks DEPRECATE_EOF (before MySQL 5.7.5 and MariaDB 10.2) is refused.
inline constexpr Capabilities kBackendCapabilities =
    kClientLongPassword | kClientLongFlag | kClientProtocol41 | kClientTransactions |
    kClientSecureConnection | kClientMultiStatements | kClientMultiResults | kClientPsMultiResults |
    kClientPluginAuth | kClientConnectAttrs | kClientPluginAuthLenenc | kClientSessionTrack |
    kClientDeprecateEof;

// What a gate offers to its clients; kClientSsl is added where there is a certificate.
inline constexpr Capabilities kServerCapabilities =
    kClientLongPassword | kClientFoundRows | kClientLongFlag | kClientConnectWithDb | kClientOdbc |
    kClientIgnoreSpace | kClientProtocol41 | kClientInteractive | kClientIgnoreSigpipe |
    kClientTransactions | kClientSecureConnection | kClientMultiStatements | kClientMultiResults |
    kClientPsMultiResults | kClientPluginAuth | kClientConnectAttrs | kClientPluginAuthLenenc |
    kClientExpiredPasswords | kClientSessionTrack | kClientDeprecateEof | kClientOptionalMetadata |
    kClientQueryAttributes;

}  // namespace paceline::mysql::wire
