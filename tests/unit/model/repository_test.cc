#include "model/repository.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <thread>

#include "model/confined_path.h"
#include "model/digest.h"
#include "tests/unit/model/fakes.h"

namespace tessera::model {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

Result<ModelFolder> find(const Folder& repository, const std::string& name) {
  const std::vector<fs::path> roots{repository.path()};
  return find_model(roots, name);
}

std::string error_of(const Folder& repository, const std::string& name) {
  const auto found = find(repository, name);
  return found.ok() ? "" : found.error().message();
}

TEST(Repository, ListsFoldersAndFiles) {
  Folder repository;
  repository.write("b/1/model.onnx", "");
  repository.write("a.onnx", "");
  repository.write("readme.md", "");
  repository.write(".git/config", "");
  repository.write("c.onnx/1/model.onnx", "");
  fs::create_symlink(repository / "nowhere", repository / "dangling");
  EXPECT_EQ(*model_names(repository.path()), (Names{"a", "b", "c.onnx"}));
  EXPECT_EQ(model_names(repository / "missing").error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(model_names(repository / "readme.md").ok());
}

TEST(Repository, VersionsAreFoldersWithPlainNumbers) {
  Folder repository;
  for (const char* folder : {"10", "2", "007", "0", "-1", "1a", "99999999999999999999", "warmup"}) {
    repository.write("m/" + std::string(folder) + "/model.onnx", "");
  }
  repository.write("m/3", "a file");
  const auto model = find(repository, "m");
  ASSERT_TRUE(model.ok()) << model.error().message();
  EXPECT_EQ(model->versions, (std::vector<std::int64_t>{2, 10}));
  EXPECT_EQ(find_version(*model, 2, "")->model, repository.path() / "m" / "2" / "model.onnx");
}

TEST(Repository, PoliciesSelectVersions) {
  Folder repository;
  for (const char* version : {"1", "2", "5"}) repository.write("m/" + std::string(version) + "/model.onnx", "");
  const auto model = find(repository, "m");
  using Versions = std::vector<std::int64_t>;
  EXPECT_EQ(*select_versions({VersionPolicy::Kind::kLatest, 1, {}}, *model), (Versions{5}));
  EXPECT_EQ(*select_versions({VersionPolicy::Kind::kLatest, 2, {}}, *model), (Versions{2, 5}));
  EXPECT_EQ(*select_versions({VersionPolicy::Kind::kLatest, 9, {}}, *model), (Versions{1, 2, 5}));
  EXPECT_EQ(*select_versions({VersionPolicy::Kind::kAll, 1, {}}, *model), (Versions{1, 2, 5}));
  EXPECT_EQ(*select_versions({VersionPolicy::Kind::kSpecific, 1, {1, 5}}, *model), (Versions{1, 5}));
  EXPECT_NE(select_versions({VersionPolicy::Kind::kSpecific, 1, {3}}, *model).error().message().find("no version 3"),
            std::string::npos);
}

TEST(Repository, TheOnlyFileIsTheModel) {
  Folder repository;
  repository.write("plain/net.onnx", "");
  repository.write("versioned/1/net.onnx", "");
  repository.write("two/1/a.onnx", "");
  repository.write("two/1/b.onnx", "");
  repository.write("empty/readme.md", "");
  EXPECT_EQ(find_version(*find(repository, "plain"), 1, "")->model.filename(), "net.onnx");
  EXPECT_EQ(find_version(*find(repository, "versioned"), 1, "")->model.filename(), "net.onnx");
  const auto two = find_version(*find(repository, "two"), 1, "");
  EXPECT_NE(two.error().message().find("more than one .onnx file"), std::string::npos);
  EXPECT_EQ(find_version(*find(repository, "two"), 1, "b.onnx")->model.filename(), "b.onnx");
  EXPECT_EQ(find_version(*find(repository, "two"), 1, "c.onnx").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of(repository, "empty"), "model 'empty' has neither a version folder nor an .onnx file");
}

TEST(Repository, AModelMayStandInOneRepositoryOnly) {
  Folder first;
  Folder second;
  first.write("m/1/model.onnx", "");
  second.write("m.onnx", "");
  const std::vector<fs::path> both{first.path(), second.path()};
  EXPECT_NE(find_model(both, "m").error().message().find("more than once"), std::string::npos);
  second.write("n.onnx", "");
  EXPECT_EQ(find_model(both, "n")->root, second.path());
}

TEST(Repository, NamesCannotLeaveIt) {
  Folder repository;
  repository.write("m/1/model.onnx", "");
  for (const std::string& name : {std::string(""), std::string("."), std::string(".."), std::string("../x"),
                                  std::string("m/1"), std::string("/etc"), std::string("a\0b", 3),
                                  std::string(256, 'a'), std::string("\xff"), std::string(".hidden")}) {
    EXPECT_EQ(find(repository, name).error().code(), ErrorCode::kInvalidArgument) << name;
  }
}

TEST(Repository, LinksAreFollowedInsideOnly) {
  Folder outside;
  outside.write("m/1/model.onnx", "secret");
  outside.write("config.pbtxt", "max_batch_size: 1");
  outside.write("labels", "secret");
  Folder repository;
  repository.write("real/1/model.onnx", "");
  fs::create_symlink("real", repository / "alias");
  EXPECT_EQ(find(repository, "alias")->folder, repository / "real");
  fs::create_symlink(outside / "m", repository / "stolen");
  EXPECT_NE(error_of(repository, "stolen").find("leads outside"), std::string::npos);
  fs::create_directory_symlink(outside / "m" / "1", repository / "real" / "2");
  EXPECT_NE(find_version(*find(repository, "real"), 2, "").error().message().find("leads outside"), std::string::npos);
  fs::create_symlink(outside / "m" / "1" / "model.onnx", repository / "real" / "1" / "other.onnx");
  EXPECT_NE(find_version(*find(repository, "real"), 1, "other.onnx").error().message().find("leads outside"),
            std::string::npos);
  fs::create_symlink(outside / "config.pbtxt", repository / "real" / "config.pbtxt");
  EXPECT_NE(read_config(*find(repository, "real")).error().message().find("leads outside"), std::string::npos);
  fs::create_symlink(outside / "labels", repository / "real" / "labels");
  EXPECT_NE(read_labels(*find(repository, "real"), "labels").error().message().find("leads outside"),
            std::string::npos);
  // A repository that is reached through a link is as good as any.
  fs::create_symlink(repository.path(), outside / "link");
  const std::vector<fs::path> linked{outside / "link"};
  EXPECT_EQ(find_model(linked, "real")->root, repository.path());
}

TEST(Repository, WhatIsNoRegularFileIsRefused) {
  Folder repository;
  repository.write("m/1/other.txt", "");
  fs::create_directory(repository / "m" / "1" / "model.onnx");
  EXPECT_FALSE(find_version(*find(repository, "m"), 1, "").ok());
  ASSERT_EQ(::mkfifo((repository / "m" / "1" / "pipe.onnx").c_str(), 0600), 0);
  EXPECT_FALSE(find_version(*find(repository, "m"), 1, "pipe.onnx").ok());
  fs::create_directory(repository / "m" / "config.pbtxt");
  EXPECT_FALSE(read_config(*find(repository, "m")).ok());
}

TEST(Repository, SizesAreBounded) {
  Folder repository;
  repository.write("m/config.pbtxt", std::string(kMaxConfigBytes + 1, ' '));
  const fs::path file = repository.write("m/1/model.onnx", "");
  fs::resize_file(file, kMaxOnnxBytes.value + 1);  // a hole: takes no room
  EXPECT_EQ(read_config(*find(repository, "m")).error().code(), ErrorCode::kTooLarge);
  EXPECT_EQ(find_version(*find(repository, "m"), 1, "").error().code(), ErrorCode::kTooLarge);
  fs::resize_file(repository.write("m/labels", ""), kMaxLabelBytes.value + 1);
  EXPECT_EQ(read_labels(*find(repository, "m"), "labels").error().code(), ErrorCode::kTooLarge);
  repository.write("m/labels", std::string(kMaxLabels + 1, '\n'));
  EXPECT_EQ(read_labels(*find(repository, "m"), "labels").error().code(), ErrorCode::kTooLarge);
}

TEST(Repository, TheFingerprintFollowsEveryChange) {
  Folder repository;
  repository.write("m/1/model.onnx", "a");
  fs::create_directory_symlink(".", repository / "m" / "circle");
  const auto print = [&] { return *fingerprint(*find(repository, "m")); };
  std::string last = print();
  EXPECT_EQ(print(), last);
  const auto changes = [&] {
    const std::string before = std::exchange(last, print());
    return before != last;
  };
  repository.write("m/1/model.onnx", "b");
  EXPECT_TRUE(changes());
  repository.write("m/config.pbtxt", "");
  EXPECT_TRUE(changes());
  repository.write("m/2/model.onnx", "b");
  EXPECT_TRUE(changes());
  repository.write("other/weights", "b");
  fs::create_directory_symlink("../other", repository / "m" / "3");
  EXPECT_TRUE(changes());
  repository.write("other/weights", "cc");
  EXPECT_TRUE(changes());
  fs::remove_all(repository / "m" / "2");
  EXPECT_TRUE(changes());
  EXPECT_FALSE(changes());
}

TEST(Files, ReadsWhatItWasShown) {
  Folder folder;
  const fs::path file = folder.write("f", "0123456789");
  const auto stamp = stamp_of(file);
  std::string read;
  const auto take = [&](std::span<const std::byte> piece) {
    EXPECT_LE(piece.size(), 3U);
    read.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return ok_status();
  };
  EXPECT_TRUE(read_pieces(*stamp, Bytes{3}, take).ok());
  EXPECT_EQ(read, "0123456789");
  EXPECT_TRUE(unchanged(std::span(&*stamp, 1)));
  folder.write("f", "9876543210");
  EXPECT_FALSE(unchanged(std::span(&*stamp, 1)));
  EXPECT_EQ(read_pieces(*stamp, Bytes{3}, take).error().code(), ErrorCode::kUnavailable);
}

TEST(Files, ATruncationInTheMiddleIsAnErrorAndNoCrash) {
  Folder folder;
  const fs::path file = folder.write("f", std::string(100, 'x'));
  const auto stamp = stamp_of(file);
  const Status read = read_pieces(*stamp, Bytes{10}, [&](std::span<const std::byte> /*piece*/) {
    fs::resize_file(file, 15);
    return ok_status();
  });
  EXPECT_EQ(read.error().code(), ErrorCode::kUnavailable);
}

TEST(Files, AtomicWritesReplaceAndLeaveNothingBehind) {
  Folder folder;
  ASSERT_TRUE(write_atomically(folder / "f", "old").ok());
  ASSERT_TRUE(write_atomically(folder / "f", "new").ok());
  EXPECT_EQ(*read_file(folder / "f", Bytes{10}), "new");
  EXPECT_FALSE(write_atomically(folder / "missing" / "f", "x").ok());
  fs::create_directory(folder / "taken");
  EXPECT_FALSE(write_atomically(folder / "taken", "x").ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 2);
  EXPECT_EQ(read_file(folder / "f", Bytes{2}).error().code(), ErrorCode::kTooLarge);
}

TEST(ConfinedPath, JudgesRealPaths) {
  Folder folder;
  folder.write("in/f", "");
  folder.write("inside/f", "");
  const fs::path in = folder / "in";
  EXPECT_TRUE(confine(in, in / "f").ok());
  EXPECT_TRUE(confine(in, in / "../in/f").ok());
  EXPECT_EQ(confine(in, in / "../inside/f").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(confine(in, in / "missing").error().code(), ErrorCode::kNotFound);
  fs::create_symlink("loop", folder / "in" / "loop");
  EXPECT_FALSE(confine(in, in / "loop").ok());
}

TEST(Sha256, GivesTheKnownDigest) {
  Sha256 sum;
  sum.add(std::as_bytes(std::span("abc", 3)));
  EXPECT_EQ(sum.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 ab_c;
  ab_c.add_text("ab");
  ab_c.add_text("c");
  Sha256 a_bc;
  a_bc.add_text("a");
  a_bc.add_text("bc");
  EXPECT_NE(ab_c.finish(), a_bc.finish());
}

}  // namespace
}  // namespace tessera::model
