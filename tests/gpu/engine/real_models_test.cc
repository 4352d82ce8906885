// Real networks, where TESSERA_GPU_MODELS names a repository as bench/models.py makes it: loads again and again, and
// what cannot be captured.
//
// TESSERA_GPU_REAL_LOADS: how often a network is loaded and unloaded (24; the first half may leave something behind).
#include <set>

#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/gpu/engine/memory_books.h"
#include "tests/gpu/settings.h"
#include "tests/support/figure.h"

namespace tessera::engine {
namespace {

class RealModelsTest : public CudaEngineTest {
 protected:
  // False: it is not there, and the test is skipped.
  bool options_of(const std::string& net, LoadOptions& options) const {
    const auto file = test_support::real_model(net);
    if (!file) {
      return false;
    }
    options.file = *file;
    options.max_batch_size = 4;
    options.digest = net;
    options.cache_dir = folder_ / "cache";
    return true;
  }
  // As a server loads; what the whole card answers.
  std::vector<std::byte> load_and_run(const LoadOptions& options, std::int32_t bucket) {
    auto loaded = engine_->load(options);
    EXPECT_TRUE(loaded.ok()) << loaded.error().message();
    if (!loaded.ok()) {
      return {};
    }
    EXPECT_TRUE((*loaded)->build(bucket).ok());
    std::vector<std::byte> bits;
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      EXPECT_TRUE((*loaded)->capture(bucket, {lane}).ok());
      for (const Slice& slice : {shape().ladder.front(), shape().whole()}) {
        bits = run_trial(**loaded, bucket, lane, slice);
      }
    }
    return bits;
  }
  std::vector<std::byte> run_trial(LoadedModel& model, std::int32_t bucket, std::uint16_t lane, const Slice& slice) {
    const device::Plan* plan = home(model, bucket, lane, slice);
    auto trial = TrialBatch::make(device_->staging(), model.signature(), bucket, bucket, true, 5);
    EXPECT_TRUE(trial.ok() && plan != nullptr);
    if (!trial.ok() || plan == nullptr) {
      return {};
    }
    EXPECT_TRUE(device_->run_borrowed(*plan, slice, trial->batch()).ok());
    return bytes_of(trial->batch());
  }
};

TEST_F(RealModelsTest, LoadsAndUnloadsLeaveNothingBehind) {
  LoadOptions options;
  if (!options_of("resnet50", options)) {
    GTEST_SKIP() << "TESSERA_GPU_MODELS names no repository with resnet50";
  }
  const int loads = std::stoi(test_support::setting("TESSERA_GPU_REAL_LOADS", "24"));
  MemoryBooks before;
  for (int i = 1; i <= loads; ++i) {
    ASSERT_FALSE(load_and_run(options, i % 2 == 0 ? 4 : 1).empty());
    const MemoryBooks books = MemoryBooks::of(*device_->gpu());
    if (i == loads / 2) {
      before = books;
    }
    if (i % 6 == 0 || i == loads) {
      test_support::figure("after_" + std::to_string(i) + "_loads_of_resnet50", books.to_json());
    }
  }
  const MemoryBooks after = MemoryBooks::of(*device_->gpu());
  EXPECT_LE(after.card_mb - before.card_mb, kMostLeftMb) << "of the card's memory";
  EXPECT_LE(after.host_mb - before.host_mb, kMostLeftMb) << "of the host's memory";
}

TEST_F(RealModelsTest, LoadsWithoutTimedChoicesGiveTheSameBits) {
  LoadOptions options;
  if (!options_of("resnet50", options)) {
    GTEST_SKIP() << "TESSERA_GPU_MODELS names no repository with resnet50";
  }
  options.timed_choices = false;
  std::set<std::vector<std::byte>> found;
  for (int i = 0; i < 6; ++i) {
    options.cache_dir = folder_ / ("cache-" + std::to_string(i % 2));  // optimised anew, or not
    found.insert(load_and_run(options, 4));
  }
  EXPECT_EQ(found.size(), 1U);
}

// Of the networks that are known, it alone may be refused, as its run copies from the host's memory.
TEST_F(RealModelsTest, InceptionIsCapturedOrRefusedWithItsCause) {
  LoadOptions options;
  if (!options_of("inception_v3", options)) {
    GTEST_SKIP() << "TESSERA_GPU_MODELS names no repository with inception_v3";
  }
  auto loaded = engine_->load(options);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  const Status captured = (*loaded)->capture(1, {0});
  const std::string cause = captured.ok() ? "" : captured.error().message();
  test_support::figure("inception_v3_captured", std::string("{\"captured\":") + (captured.ok() ? "true" : "false") +
                                                    ",\"cause\":\"" + cause + "\"}");
  if (captured.ok()) {
    EXPECT_FALSE(run_trial(**loaded, 1, 0, shape().whole()).empty());
    return;
  }
  EXPECT_EQ(captured.error().code(), ErrorCode::kUnsupported) << cause;
  EXPECT_EQ(cause.find('"'), std::string::npos);
  loaded->reset();
  const Slice slice{0, 2};
  options.uncaptured_in = slice;
  auto uncaptured = engine_->load(options);
  ASSERT_TRUE(uncaptured.ok()) << uncaptured.error().message();
  EXPECT_FALSE(run_trial(**uncaptured, 1, 0, slice).empty()) << "it runs all the same";
}

}  // namespace
}  // namespace tessera::engine
