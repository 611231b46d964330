#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "backup/catalog.h"
#include "base/rng.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "mysqld/testing.h"

namespace paceline::backup {
namespace {

std::string Mixed(size_t size) {
  std::string text(size, 'x');
  Rng& rng = ThreadRng();
  for (size_t at = 0; at < size; at += 2) text[at] = static_cast<char>(rng.Below(256));
  return text;
}

class Collect final : public io::ByteSink {
 public:
  io::Task<Status> Write(std::string_view bytes, Deadline) override {
    text += bytes;
    co_return Status();
  }
  std::string text;
};

TEST(Frame, ComesBackWhateverItWasMadeWith) {
  for (Compression compression : {Compression::kNone, Compression::kZstd, Compression::kLz4}) {
    for (const std::string& secret : {std::string(), std::string(16, 's')}) {
      for (size_t size : {size_t{0}, size_t{1}, size_t{5000}, kFrameBytes}) {
        FrameOptions options{compression, 1, secret, "salt"};
        for (const std::string& raw : {Mixed(size), std::string(size, 'a')}) {
          Result<std::string> frame = MakeFrame(options, 7, raw, true);
          ASSERT_OK(frame);
          std::string header = frame->substr(0, kFrameHeaderBytes);
          Result<std::string> back =
              OpenFrame(options, 7, header, std::string_view(*frame).substr(kFrameHeaderBytes));
          ASSERT_OK(back);
          EXPECT_EQ(*back, raw);
          EXPECT_TRUE(ReadFrameHeader(header)->last);
        }
      }
    }
  }
}

TEST(Frame, EveryFlippedBitIsSeen) {
  for (const std::string& secret : {std::string(), std::string(32, 's')}) {
    FrameOptions options{Compression::kZstd, 1, secret, "salt"};
    std::string frame = *MakeFrame(options, 0, "a row and another row and another row", false);
    for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
      if (bit / 8 >= 5 && bit / 8 < 8) continue;  // unused
      std::string bad = frame;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
      std::string_view view = bad;
      Result<std::string> opened =
          OpenFrame(options, 0, view.substr(0, kFrameHeaderBytes), view.substr(kFrameHeaderBytes));
      bool last_flag = bit == 4 * 8 + 7;
      if (secret.empty() && last_flag) continue;  // held against the manifest's count
      EXPECT_FALSE(opened && *opened == "a row and another row and another row" && !last_flag)
          << "bit " << bit;
      if (!secret.empty()) {
        EXPECT_FALSE(opened) << "bit " << bit;
      }
    }
  }
}

TEST(Frame, AKeyOpensItsOwnFrameInItsPlaceOnly) {
  FrameOptions right{Compression::kZstd, 1, std::string(16, 's'), "salt"};
  std::string frame = *MakeFrame(right, 3, "secret rows", false);
  std::string_view view = frame, header = view.substr(0, kFrameHeaderBytes),
                   stored = view.substr(kFrameHeaderBytes);
  ASSERT_OK(OpenFrame(right, 3, header, stored));
  FrameOptions other_key = right, other_salt = right, none;
  other_key.secret = std::string(16, 't');
  other_salt.salt = "pepper";
  for (const FrameOptions& wrong : {other_key, other_salt, none}) {
    Result<std::string> opened = OpenFrame(wrong, 3, header, stored);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), Code::kPermissionDenied);
  }
  EXPECT_FALSE(OpenFrame(right, 4, header, stored));
  EXPECT_EQ(frame.find("secret rows"), std::string::npos);
  FrameOptions plain;
  std::string open_frame = *MakeFrame(plain, 0, "rows", false);
  EXPECT_FALSE(OpenFrame(right, 0, open_frame.substr(0, kFrameHeaderBytes),
                         open_frame.substr(kFrameHeaderBytes)));
}

class StoredTest : public testing::Test {
 protected:
  StoredTest() {
    root = "/tmp/paceline-backup-" + HexEncode(RandomBytes(5));
    std::filesystem::create_directories(root);
    storage = std::shared_ptr<Storage>(std::move(*OpenStorage({"file", root})));
  }
  ~StoredTest() override { std::filesystem::remove_all(root); }
  template <class T>
  T Await(io::Task<T> task) {
    return io::RunUntilDone(loop, std::move(task));
  }
  Deadline Soon() { return Deadline::In(30s); }

  struct Steps {
    static io::Task<Result<StoredObject>> Store(std::shared_ptr<Storage> storage, std::string path,
                                                FrameOptions options, std::string bytes,
                                                Deadline deadline) {
      StoredWriter writer(storage, path, options, 0);
      std::string_view rest = bytes;
      while (!rest.empty()) {
        std::string_view piece = rest.substr(0, 300'000);
        rest.remove_prefix(piece.size());
        Status written = co_await writer.Write(piece, deadline);
        if (!written) co_return Fail(written.error());
      }
      Result<StoredObject> object = co_await writer.Finish(deadline);
      co_return object;
    }
    static io::Task<Status> Abandon(std::shared_ptr<Storage> storage, std::string path,
                                    std::string bytes, Deadline deadline) {
      FrameOptions options;
      StoredWriter writer(storage, path, options, 0);
      Status written = co_await writer.Write(bytes, deadline);
      co_return written;
    }
  };

  io::Loop loop;
  std::string root;
  std::shared_ptr<Storage> storage;
};

TEST_F(StoredTest, StreamsComeBack) {
  for (size_t size : {size_t{0}, size_t{1000}, kBatchBytes, 3 * kBatchBytes + 77}) {
    for (const std::string& secret : {std::string(), std::string(16, 's')}) {
      FrameOptions options{Compression::kZstd, 1, secret, "salt"};
      std::string bytes = Mixed(size);
      auto object = Await(Steps::Store(storage, "k/0/b/data", options, bytes, Soon()));
      ASSERT_OK(object);
      EXPECT_EQ(object->raw_bytes, size);
      EXPECT_EQ(object->name, "data");
      Collect back;
      ASSERT_OK(Await(ReadStored(storage, "k/0/b/data", options, *object, back, Soon())));
      EXPECT_TRUE(back.text == bytes);
    }
  }
}

TEST_F(StoredTest, DamageIsNamed) {
  FrameOptions options;
  std::string bytes = Mixed(2 * kFrameBytes);
  auto object = Await(Steps::Store(storage, "k/0/b/data", options, bytes, Soon()));
  ASSERT_OK(object);
  std::string path = root + "/k/0/b/data";
  auto expect_damage = [&](const char* what) {
    Collect back;
    Status read = Await(ReadStored(storage, "k/0/b/data", options, *object, back, Soon()));
    ASSERT_FALSE(read) << what;
    EXPECT_EQ(read.error().code(), Code::kDataLoss) << what;
    EXPECT_NE(read.error().message().find("k/0/b/data"), std::string::npos) << what;
  };
  uint64_t size = std::filesystem::file_size(path);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size / 2));
    file.put('!');
  }
  expect_damage("one byte changed");
  for (uint64_t cut : {size - 1, size / 2, uint64_t{10}, uint64_t{0}}) {
    std::filesystem::resize_file(path, cut);
    expect_damage("cut short");
  }
  // Another stream under the same name, whole in itself.
  auto other = Await(Steps::Store(storage, "k/0/b/data", options, "other", Soon()));
  ASSERT_OK(other);
  expect_damage("another object");
}

TEST_F(StoredTest, WhatWasNotFinishedIsNotThere) {
  ASSERT_OK(Await(Steps::Abandon(storage, "k/0/b/data", Mixed(2 * kBatchBytes), Soon())));
  for (int i = 0; i < 200 && !std::filesystem::is_empty(root + "/k/0/b"); ++i) {
    std::function<bool()> turn = [] { return true; };
    Await(io::RunBlocking<bool>(std::move(turn)));  // the batch on its way ends and lets go
  }
  auto names = storage->List("k/0/b");
  ASSERT_OK(names);
  EXPECT_TRUE(names->empty());
}

TEST_F(StoredTest, AFullOrMissingPlaceIsNamed) {
  FrameOptions options;
  std::filesystem::remove_all(root);
  auto object = Await(Steps::Store(storage, "k/0/b/data", options, "x", Soon()));
  ASSERT_FALSE(object);
  EXPECT_EQ(object.error().code(), Code::kNotFound);
  EXPECT_NE(object.error().message().find(root), std::string::npos);
  EXPECT_FALSE(OpenStorage({"file", "relative"}));
  EXPECT_EQ(OpenStorage({}).error().code(), Code::kFailedPrecondition);
}

TEST_F(StoredTest, TheCatalogListsWhatIsComplete) {
  Catalog catalog = *Catalog::Of(storage, "ks", "-80");
  EXPECT_TRUE(catalog.List()->empty());
  BackupName first{{1'764'270'000'000'000'000}, {"zone.1", 101}};
  BackupName second{{1'764'273'600'000'000'000}, {"zone.1", 102}};
  std::string done = FormatBackupName(first), open = FormatBackupName(second);
  EXPECT_EQ(done, "2025-11-27.190000.zone.1-0000000101");
  Manifest manifest;
  manifest.engine = "clone";
  manifest.position = "MySQL56/x";
  manifest.began = first.time;
  manifest.salt = "00ff";
  manifest.objects.push_back({"data", 5, 4, 1, "ab"});
  manifest.tables = {{"d", "t", 2}, {"d", "uncounted", std::nullopt}};
  ASSERT_OK(storage->Put(catalog.Folder(done) + "/data", "12345"));
  ASSERT_OK(catalog.Write(done, manifest));
  ASSERT_OK(storage->Put(catalog.Folder(open) + "/data", "12"));
  ASSERT_OK(storage->Put("ks/-80/notes", "somebody else's"));
  auto list = catalog.List();
  ASSERT_OK(list);
  ASSERT_EQ(list->size(), 2u);
  EXPECT_TRUE((*list)[0].complete);
  EXPECT_FALSE((*list)[1].complete);
  EXPECT_EQ(*catalog.Read(done), manifest);
  EXPECT_EQ(catalog.Read(open).error().code(), Code::kNotFound);
  EXPECT_EQ(catalog.ReadVerdict((*list)[0]).error().code(), Code::kNotFound);
  for (bool good : {true, false, true}) {
    Verdict verdict{good, second.time, "as it was"};
    ASSERT_OK(catalog.WriteVerdict(done, verdict));
    list = catalog.List();
    ASSERT_OK(list);
    EXPECT_EQ((*list)[0].verified, good ? Verified::kGood : Verified::kBad);
    EXPECT_EQ((*list)[0].usable(), good);
    EXPECT_EQ(*catalog.ReadVerdict((*list)[0]), verdict);
  }
  // Of one that was removed meanwhile nothing stays.
  EXPECT_EQ(catalog.WriteVerdict("2025-11-27.180000.zone.1-0000000101", {}).error().code(),
            Code::kNotFound);
  EXPECT_EQ(catalog.List()->size(), 2u);
  // A young one of another tablet may still run.
  EXPECT_TRUE(catalog.Sweep({"zone.1", 103}, second.time)->empty());
  EXPECT_EQ(catalog.Sweep({"zone.1", 102}, {})->size(), 1u);
  EXPECT_EQ(catalog.List()->size(), 1u);
  ASSERT_OK(catalog.Remove(done));
  EXPECT_EQ(catalog.Remove(done).error().code(), Code::kNotFound);
  EXPECT_EQ(catalog.Remove("../../etc").error().code(), Code::kInvalidArgument);
  EXPECT_FALSE(Catalog::Of(storage, "..", "0"));
}

TEST(Manifest, AnOlderOneHasNoTables) {
  Manifest manifest;
  std::string text = ToJson(manifest);
  size_t at = text.find(",\n  \"Tables\"");
  ASSERT_NE(at, text.npos);
  auto old = ParseManifest(text.substr(0, at) + "\n}");
  ASSERT_OK(old);
  EXPECT_EQ(*old, manifest);
}

TEST(Manifest, DamageIsAnError) {
  EXPECT_FALSE(ParseVerdict("{\"Good\": 1"));
  EXPECT_FALSE(ParseVerdict("{\"Good\": true}"));
  EXPECT_FALSE(ParseManifest(""));
  EXPECT_FALSE(ParseManifest("{}"));
  EXPECT_FALSE(ParseManifest("{\"Format\": 2}"));
  EXPECT_FALSE(ParseBackupName("2025-11-27.190000"));
  EXPECT_FALSE(ParseBackupName("2025-13-27.190000.zone1-0000000101"));
  EXPECT_FALSE(ParseBackupName("MANIFEST"));
}

}  // namespace
}  // namespace paceline::backup
