// Options of the provider by name, and what the cache keeps of the fastest.
#include "engine/onnxruntime/cuda/tuned_options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

namespace tessera::engine {
namespace {

TEST(ProviderOptions, AreFoundByTheirNames) {
  std::set<std::string> names;
  for (const bool nhwc : {false, true}) {
    for (const bool bias : {false, true}) {
      for (const bool timed : {false, true}) {
        const ProviderOptions options{nhwc, bias, timed};
        EXPECT_TRUE(names.insert(options.name()).second) << options.name();
        EXPECT_EQ(ProviderOptions::from(options.name()), options);
      }
    }
  }
  EXPECT_FALSE(ProviderOptions::from("nhwc+").has_value());
  EXPECT_FALSE(ProviderOptions::from("").has_value());
}

TEST(ProviderOptions, WhatIsTriedRunsOneFile) {
  ASSERT_GE(tried_options().size(), 2U);
  for (const ProviderOptions& options : tried_options()) {
    EXPECT_EQ(options.channels_last, tried_options().front().channels_last);
  }
}

TEST(ProviderOptions, AreNamedTogetherForKeys) {
  EXPECT_EQ(provider_settings(), "nhwc nhwc+bias do_copy_in_default_stream=1");
}

class TunedOptionsTest : public testing::Test {
 protected:
  TunedOptions read(const std::string& digest = "abc", const std::string& card = "a card") const {
    return {folder_, digest, card};
  }
  std::filesystem::path file() const { return std::filesystem::directory_iterator(folder_)->path(); }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / "tuned_options_test" /
                                        testing::UnitTest::GetInstance()->current_test_info()->name();
  void SetUp() override { std::filesystem::remove_all(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
};

TEST_F(TunedOptionsTest, AreThereForTheNextLoad) {
  const ProviderOptions bias{.fuse_conv_bias = true};
  TunedOptions first = read();
  EXPECT_FALSE(first.of(8).has_value());
  first.keep(8, {});
  first.keep(1, {});
  first.keep(8, bias);
  EXPECT_EQ(first.of(8), bias);
  EXPECT_EQ(read().of(8), bias);
  EXPECT_EQ(read().of(1), ProviderOptions{});
  EXPECT_FALSE(read().of(2).has_value());
  EXPECT_FALSE(read("other").of(8).has_value());
  EXPECT_FALSE(read("abc", "another card").of(8).has_value());
}

TEST_F(TunedOptionsTest, ADamagedFileSaysNothing) {
  read().keep(8, {});
  for (const std::string text :
       {"", "tessera provider options 1\n8 nhwc\n-1 nhwc\n", "tessera provider options 1\n8 what\n",
        "tessera provider options 1\n8\n", "another\n8 nhwc\n"}) {
    std::ofstream(file(), std::ios::trunc) << text;
    EXPECT_FALSE(read().of(8).has_value() && read().of(-1).has_value()) << text;
    EXPECT_FALSE(read().of(-1).has_value()) << text;
  }
  std::ofstream(file(), std::ios::trunc) << "tessera provider options 1\n8 what\n";
  EXPECT_FALSE(read().of(8).has_value());
}

TEST_F(TunedOptionsTest, NothingIsKeptWithoutACache) {
  TunedOptions none({}, "abc", "a card");
  none.keep(8, {});
  EXPECT_TRUE(none.of(8).has_value());
  TunedOptions no_digest(folder_, "", "a card");
  no_digest.keep(8, {});
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

}  // namespace
}  // namespace tessera::engine
