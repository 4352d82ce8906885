// What replicas share: files that are made once, options that were found.
#include "engine/onnxruntime/cuda/replicas.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/support/onnx_writer.h"

namespace tessera::engine {
namespace {

class ReplicasTest : public testing::Test {
 protected:
  ReplicasTest() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-replicas-XXXXXX").string();
    TESSERA_CHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    test_support::add_sub_model(true).save(folder_ / "model.onnx");
    environment_ = Environment::create().value();
  }
  ~ReplicasTest() override { std::filesystem::remove_all(folder_); }

  Result<OptimizedFiles> optimize() const {
    return OptimizedFiles::make(*environment_, optimized_for_host(), folder_ / "model.onnx", "", "");
  }
  std::shared_ptr<ReplicaSet> set_of(const std::string& digest, const std::string& form = "form") {
    return replicas_.of(digest, form, "", "a card");
  }

  std::filesystem::path folder_;
  std::shared_ptr<const Environment> environment_;
  Replicas replicas_;
};

TEST_F(ReplicasTest, ASetIsOfOneModelInOneForm) {
  const auto set = set_of("a");
  EXPECT_EQ(set, set_of("a"));
  EXPECT_NE(set, set_of("b"));
  EXPECT_NE(set, set_of("a", "another card's"));
  EXPECT_NE(set_of(""), set_of("")) << "nobody knows whether they are the same";
}

TEST_F(ReplicasTest, ASetGoesWithItsLastReplica) {
  std::weak_ptr<ReplicaSet> set = set_of("a");
  EXPECT_TRUE(set.expired());
}

TEST_F(ReplicasTest, FilesAreMadeOnceWhileOthersWaitAndGoWithTheSet) {
  std::filesystem::path kept;
  {
    const auto set = set_of("a");
    std::atomic<int> made{0};
    const auto make = [&]() -> Result<OptimizedFiles> {
      made.fetch_add(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return optimize();
    };
    std::vector<std::shared_ptr<const OptimizedFiles>> found(4);
    std::vector<std::thread> loaders;
    for (auto& files : found) {
      loaders.emplace_back([&] { files = set->files(make).value(); });
    }
    for (std::thread& loader : loaders) {
      loader.join();
    }
    EXPECT_EQ(made.load(), 1);
    for (const auto& files : found) {
      EXPECT_EQ(files, found.front());
    }
    kept = found.front()->graph();
    EXPECT_TRUE(std::filesystem::exists(kept));
  }
  EXPECT_FALSE(std::filesystem::exists(kept));
}

TEST_F(ReplicasTest, FilesThatCouldNotBeMadeAreMadeByTheNext) {
  const auto set = set_of("a");
  const auto failed = set->files([]() -> Result<OptimizedFiles> { return unavailable("no room"); });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message(), "no room");
  EXPECT_TRUE(set->files([&] { return optimize(); }).ok());
}

TEST_F(ReplicasTest, OptionsThatWereFoundAreTheNextOnesToo) {
  const auto set = set_of("a");
  const ProviderOptions fused{.fuse_conv_bias = true};
  set->tuned().keep(4, fused);
  EXPECT_EQ(set_of("a")->tuned().of(4), fused);
}

}  // namespace
}  // namespace tessera::engine
