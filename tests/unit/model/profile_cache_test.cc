#include "model/profile_cache.h"

#include <gtest/gtest.h>

#include "model/files.h"
#include "tests/unit/model/fakes.h"

namespace tessera::model {
namespace {

using std::chrono::microseconds;

const ProfileKey kKey{"digest", "host [1 1]", "fake 1.0"};

TEST(ProfileCache, KeepsPoints) {
  Folder folder;
  const ProfileCache cache(folder / "new");
  EXPECT_FALSE(cache.load(kKey).has_value());
  cache.save(kKey, {{1, 1, microseconds(120)}, {8, 2, microseconds(700)}});
  const auto points = cache.load(kKey);
  ASSERT_TRUE(points.has_value());
  ASSERT_EQ(points->size(), 2U);
  EXPECT_EQ(points->at(1).bucket, 8);
  EXPECT_EQ(points->at(1).processors, 2);
  EXPECT_EQ(points->at(1).latency, Duration(microseconds(700)));
  for (const ProfileKey& other :
       {ProfileKey{"other", kKey.device, kKey.engine}, ProfileKey{kKey.model, "host [1]", kKey.engine},
        ProfileKey{kKey.model, kKey.device, "fake 1.1"}}) {
    EXPECT_FALSE(cache.load(other).has_value());
  }
}

TEST(ProfileCache, WhatCannotBeUsedIsIgnoredAndReplaced) {
  Folder folder;
  const ProfileCache cache(folder.path());
  cache.save(kKey, {{1, 1, microseconds(5)}});
  const std::filesystem::path file = cache.file_of(kKey);
  const std::string good = *read_file(file, Bytes{10000});
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& bad :
       {std::string(), std::string("{"), std::string("[]"), std::string("\0\0", 2), good.substr(0, good.size() / 2),
        with("\"format\":1", "\"format\":2"), with("digest", "another"), with(":5000", ":-5000"),
        with(":5000", ":1e99"), with("\"bucket\":1", "\"bucket\":0"), with("\"bucket\":1", "\"bucket\":\"1\""),
        with("points", "pints"), std::string(100000, '['), std::string((1 << 20) + 1, ' ')}) {
    folder.write(std::filesystem::relative(file, folder.path()), bad);
    EXPECT_FALSE(cache.load(kKey).has_value()) << bad.substr(0, 200);
  }
  cache.save(kKey, {{1, 1, microseconds(6)}});
  EXPECT_EQ(cache.load(kKey)->at(0).latency, Duration(microseconds(6)));
}

TEST(ProfileCache, WithoutAFolderNothingIsKept) {
  const ProfileCache cache({});
  cache.save(kKey, {{1, 1, microseconds(5)}});
  EXPECT_FALSE(cache.load(kKey).has_value());
}

TEST_F(LifecycleTest, ProfilesOutliveTheServer) {
  Folder cache;
  options.cache_dir = cache.path();
  repository.write("m/1/model.onnx", "fixed");
  begin(ControlMode::kNone);
  ASSERT_TRUE(started.ok());
  const std::size_t measured = host.journal.count("run ");
  EXPECT_GT(measured, 3U);
  EXPECT_EQ(host.profiles["m"].points().size(), 2U);
  lifecycle.reset();
  // What was learned by serving is what comes back.
  begin(ControlMode::kNone);
  ASSERT_EQ(host.profiles["m"].points().size(), 1U);
  EXPECT_EQ(host.profiles["m"].latency(1, 1), Duration(microseconds(77)));
  EXPECT_LT(host.journal.count("run "), 2 * measured);
  lifecycle.reset();
  engine.version_number = "2.0";
  begin(ControlMode::kNone);
  EXPECT_EQ(host.profiles["m"].points().size(), 2U);
}

TEST_F(LifecycleTest, ProfilesHoldForOneCardDriverAndSetOfOptions) {
  Folder cache;
  options.cache_dir = cache.path();
  repository.write("m/1/model.onnx", "fixed");
  const auto is_measured = [&] {
    begin(ControlMode::kNone);
    const bool anew = host.profiles["m"].points().size() == 2;  // what was kept is one point
    lifecycle.reset();
    return anew;
  };
  EXPECT_TRUE(is_measured());
  EXPECT_FALSE(is_measured());
  host.device().card = "another card with as many processors, driver 1.0";
  EXPECT_TRUE(is_measured());
  EXPECT_FALSE(is_measured());
  host.device().card = "another card with as many processors, driver 2.0";
  EXPECT_TRUE(is_measured());
  engine.option_names = "nhwc nhwc+bias";
  EXPECT_TRUE(is_measured());
  EXPECT_FALSE(is_measured());
}

}  // namespace
}  // namespace tessera::model
