// Loading again and again: the same bits, and nothing left behind.
//
// TESSERA_GPU_LOADS: how often a model is loaded and unloaded (60; the first 20 may leave something behind).
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/support/figure.h"

namespace tessera::engine {
namespace {

constexpr int kFirstLoads = 20;
// What libraries and the C library's heap may keep for themselves; a model of this size that stayed would show.
constexpr double kMostLeftMb = 16;

double mb(double bytes) { return bytes / 1e6; }

class LoadsTest : public CudaEngineTest {
 protected:
  static double host_mb() {
    std::ifstream file("/proc/self/statm");
    double size = 0;
    double resident = 0;
    file >> size >> resident;
    return mb(resident * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  }
  double card_mb() const {
    std::size_t free = 0;
    std::size_t total = 0;
    EXPECT_EQ(device_->gpu()->driver().mem_get_info(&free, &total), CUDA_SUCCESS);
    return mb(static_cast<double>(total - free));
  }
  std::vector<std::byte> load_and_run(std::int32_t bucket) {
    const auto model = load(image_model());
    if (model == nullptr) {
      return {};
    }
    std::vector<std::byte> bits;
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      for (const Slice& slice : {shape().ladder.front(), shape().whole()}) {
        bits = run(home(*model, bucket, lane, slice), slice, images(bucket, bucket, 3));
      }
    }
    return bits;
  }
};

// What `determinism` promises: nothing is chosen by timing it.
TEST_F(LoadsTest, LoadsAndReplicasWithoutTimedChoicesGiveTheSameBits) {
  auto sibling = CudaEngine::create(*device_, engine_.get());
  ASSERT_TRUE(sibling.ok()) << sibling.error().message();
  std::set<std::vector<std::byte>> found;
  for (int i = 0; i < 20; ++i) {
    LoadOptions options = options_for(image_model());
    options.timed_choices = false;
    auto loaded = engine_->load(options);
    auto replica = (*sibling)->load(options);
    ASSERT_TRUE(loaded.ok() && replica.ok());
    for (const auto& model : {std::cref(*loaded), std::cref(*replica)}) {
      ASSERT_TRUE(model.get()->build(4).ok());
      for (const Slice& slice : {shape().ladder.front(), shape().whole()}) {
        found.insert(run(home(*model.get(), 4, 0, slice), slice, images(4, 4, 3)));
      }
    }
  }
  EXPECT_EQ(found.size(), 1U);
}

// Which algorithm a convolution takes is found by timing; only `determinism` can promise the same one every time.
TEST_F(LoadsTest, TwentyLoadsGiveTheSameBits) {
  std::set<std::vector<std::byte>> found;
  for (int i = 0; i < 20; ++i) {
    found.insert(load_and_run(4));
  }
  test_support::figure("distinct_answers_of_20_loads", std::to_string(found.size()));
  if (found.size() > 1) {
    GTEST_SKIP() << found.size() << " answers of 20 loads: this engine promises the same bits within one load alone";
  }
}

TEST_F(LoadsTest, LoadsAndUnloadsLeaveNothingBehind) {
  const char* set = std::getenv("TESSERA_GPU_LOADS");  // NOLINT(concurrency-mt-unsafe): before any other thread
  const int loads = set == nullptr ? 60 : std::max(kFirstLoads + 1, std::atoi(set));  // NOLINT(cert-err34-c)
  double host = 0;
  double card = 0;
  for (int i = 1; i <= loads; ++i) {
    ASSERT_FALSE(load_and_run(i % 2 == 0 ? 4 : 1).empty());
    if (i == kFirstLoads) {
      host = host_mb();
      card = card_mb();
    }
    if (i % 20 == 0 || i == loads) {
      test_support::figure(
          "after_" + std::to_string(i) + "_loads",
          "{\"host_mb\":" + std::to_string(host_mb()) + ",\"card_mb\":" + std::to_string(card_mb()) + "}");
    }
  }
  EXPECT_LE(card_mb() - card, kMostLeftMb) << "of the card's memory, after " << loads << " loads";
  EXPECT_LE(host_mb() - host, kMostLeftMb) << "of the host's memory, after " << loads << " loads";
}

}  // namespace
}  // namespace tessera::engine
