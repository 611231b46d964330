// What every storage promises (storage.h). The folder is tried always; a bucket where
// PACELINE_TEST_S3 holds its address and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY name who may
// use it, or PACELINE_TEST_GCS and Google's variables: tests/backup starts servers for that.
#include <gtest/gtest.h>

#include <filesystem>

#include "backup/storage.h"
#include "backup/storage_gcs.h"
#include "backup/storage_s3.h"
#include "base/rng.h"
#include "base/strings.h"
#include "mysqld/testing.h"

namespace paceline::backup {
namespace {

template <class T>
Error ErrorOf(const T& result) {
  return result ? Error(Code::kOk, "it was taken") : result.error();
}

class ConformanceTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto environment = [](const char* name) { return mysqld::TestServers::Environment(name); };
    StorageOptions options{GetParam(), ""};
    if (GetParam() == "file") {
      root_ = "/tmp/paceline-backup-" + HexEncode(RandomBytes(5));
      std::filesystem::create_directories(root_);
      options.file_root = root_;
    } else if (GetParam() == "gcs") {
      options.file_root = environment("PACELINE_TEST_GCS");
      if (options.file_root.empty()) GTEST_SKIP() << "PACELINE_TEST_GCS names no bucket";
      SetGcsAccess({environment("STORAGE_EMULATOR_HOST"),
                    environment("GOOGLE_APPLICATION_CREDENTIALS"),
                    environment("GCE_METADATA_HOST")});
    } else {
      options.file_root = environment("PACELINE_TEST_S3");
      if (options.file_root.empty()) GTEST_SKIP() << "PACELINE_TEST_S3 names no bucket";
      SetS3Credentials(
          {environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"), ""});
    }
    auto opened = OpenStorage(options);
    ASSERT_OK(opened);
    storage = std::move(*opened);
    folder = "ks" + HexEncode(RandomBytes(4)) + "/0";
  }
  void TearDown() override {
    if (storage != nullptr) {
      EXPECT_TRUE(storage->RemoveAll(folder));
    }
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }
  std::unique_ptr<Storage> storage;
  std::string folder;

 private:
  std::string root_;
};

TEST_P(ConformanceTest, ObjectsComeBackByteForByte) {
  // Sizes around the parts that storages cut an object into.
  for (size_t size : {size_t{0}, size_t{1}, size_t{100'000}, size_t{4} << 20, size_t{8} << 20,
                      (size_t{17} << 20) + 3}) {
    std::string bytes(size, 'x');
    Rng& rng = ThreadRng();
    for (size_t at = 0; at < size; at += 997) bytes[at] = static_cast<char>(rng.Below(256));
    std::string path = fmt::format("{}/b/{}", folder, size);
    auto writer = storage->Create(path);
    ASSERT_OK(writer);
    std::string_view rest = bytes;
    while (!rest.empty()) {
      ASSERT_OK((*writer)->Append(rest.substr(0, 1'000'003)));
      rest.remove_prefix(std::min(rest.size(), size_t{1'000'003}));
    }
    ASSERT_OK((*writer)->Commit());
    auto back = storage->Get(path, size_t{64} << 20);
    ASSERT_OK(back);
    EXPECT_TRUE(*back == bytes) << size;
  }
}

TEST_P(ConformanceTest, NothingIsThereBeforeItIsCommitted) {
  std::string path = folder + "/b/data";
  {
    auto writer = storage->Create(path);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->Append(std::string(size_t{9} << 20, 'x')));
    EXPECT_EQ(storage->Open(path).error().code(), Code::kNotFound);
    EXPECT_TRUE(storage->List(folder + "/b")->empty());
  }
  EXPECT_EQ(storage->Open(path).error().code(), Code::kNotFound);
  EXPECT_TRUE(storage->List(folder)->empty());
}

TEST_P(ConformanceTest, ListsNamesSortedAndOnce) {
  ASSERT_OK(storage->List(folder));
  EXPECT_TRUE(storage->List(folder)->empty());
  for (const char* path : {"/b2/data", "/b1/data", "/b1/MANIFEST", "/b10/x/y"})
    ASSERT_OK(storage->Put(folder + path, "x"));
  EXPECT_EQ(*storage->List(folder), (std::vector<std::string>{"b1", "b10", "b2"}));
  EXPECT_EQ(*storage->List(folder + "/b1"), (std::vector<std::string>{"MANIFEST", "data"}));
  EXPECT_EQ(*storage->List(folder + "/b10"), (std::vector<std::string>{"x"}));
}

TEST_P(ConformanceTest, RemovesWhatIsBelowAndNothingElse) {
  for (const char* path : {"/b1/data", "/b1/MANIFEST", "/b10/data"})
    ASSERT_OK(storage->Put(folder + path, "x"));
  ASSERT_OK(storage->RemoveAll(folder + "/b1/MANIFEST"));
  EXPECT_EQ(*storage->List(folder + "/b1"), (std::vector<std::string>{"data"}));
  ASSERT_OK(storage->RemoveAll(folder + "/b1"));
  EXPECT_EQ(*storage->List(folder), (std::vector<std::string>{"b10"}));
  ASSERT_OK(storage->RemoveAll(folder + "/b1"));
}

TEST_P(ConformanceTest, AnObjectIsReplacedAtOnce) {
  std::string path = folder + "/b/MANIFEST";
  ASSERT_OK(storage->Put(path, "old"));
  auto writer = storage->Create(path);
  ASSERT_OK(writer);
  ASSERT_OK((*writer)->Append("new"));
  EXPECT_EQ(*storage->Get(path), "old");
  ASSERT_OK((*writer)->Commit());
  EXPECT_EQ(*storage->Get(path), "new");
}

TEST_P(ConformanceTest, PathsThatLeaveTheirPlaceAreRefused) {
  for (const char* path : {"../x", "a//b", "", "a/./b", "a/b?c", "a\nb"}) {
    for (const Error& error : {ErrorOf(storage->Create(path)), ErrorOf(storage->Open(path)),
                               ErrorOf(storage->List(path)), ErrorOf(storage->RemoveAll(path))})
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << '"' << path << '"';
  }
}

INSTANTIATE_TEST_SUITE_P(Storages, ConformanceTest, testing::Values("file", "s3", "gcs"),
                         [](const auto& info) { return info.param; });

TEST(S3Address, WhatIsWrongIsNamed) {
  SetS3Credentials({"key", "secret", ""});
  EXPECT_FALSE(OpenS3Storage("bucket"));
  EXPECT_FALSE(OpenS3Storage("s3://"));
  EXPECT_FALSE(OpenS3Storage("s3://b?nonsense=1"));
  ASSERT_OK(OpenS3Storage("s3://b/some/prefix?region=eu-central-1"));
  SetS3Credentials({});
  EXPECT_EQ(OpenS3Storage("s3://b").error().code(), Code::kUnauthenticated);
}

TEST(GcsAddress, WhatIsWrongIsNamed) {
  SetGcsAccess({});
  EXPECT_FALSE(OpenGcsStorage("bucket"));
  EXPECT_FALSE(OpenGcsStorage("gs://"));
  EXPECT_FALSE(OpenGcsStorage("gs://b?nonsense=1"));
  ASSERT_OK(OpenGcsStorage("gs://b/some/prefix"));
  SetGcsAccess({"", "/nonexistent.json", ""});
  auto opened = OpenGcsStorage("gs://b");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), Code::kUnauthenticated);
  EXPECT_NE(opened.error().message().find("/nonexistent.json"), std::string::npos);
  SetGcsAccess({});
}

}  // namespace
}  // namespace paceline::backup
