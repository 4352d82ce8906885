// Loading again and again: the same bits, and nothing left behind.
//
// TESSERA_GPU_LOADS: how often a model is loaded and unloaded (60; the first 20 may leave something behind).
#include <array>
#include <cstdlib>
#include <fstream>
#include <set>
#include <thread>

#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/gpu/engine/memory_books.h"
#include "tests/support/figure.h"

namespace tessera::engine {
namespace {

constexpr int kFirstLoads = 20;

class LoadsTest : public CudaEngineTest {
 protected:
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
  const std::array others{engine_->shared()};
  auto sibling = CudaEngine::create(*device_, others);
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

// A replica's weights come from the first one's memory: on the second card where there is one, else on a second device
// of the same card. The first one may leave meanwhile.
TEST_F(LoadsTest, AReplicaGetsItsWeightsFromTheOtherAndGivesTheSameBits) {
  const auto other_gpu = device::Gpu::open(device_->gpu()->driver(), 1);
  device::CudaOptions on_other;
  on_other.spec = {.gpu = other_gpu.ok() ? 1 : 0, .atoms = std::nullopt};
  on_other.streams = 4;
  auto other_device = device::make_cuda_device(other_gpu.ok() ? *other_gpu : device_->gpu(), on_other);
  if (!other_device.ok() && !other_gpu.ok()) {
    GTEST_SKIP() << "one card, whose streams are all taken: " << other_device.error().message();
  }
  ASSERT_TRUE(other_device.ok()) << other_device.error().message();
  Completions ends;
  (*other_device)->set_sink(ends);
  const std::array others{engine_->shared()};
  LoadOptions options = options_for(image_model());
  options.timed_choices = false;
  options.digest = "image-model";
  options.cache_dir = folder_ / "cache";
  auto first = engine_->load(options);
  ASSERT_TRUE(first.ok()) << first.error().message();
  const Slice whole = shape().whole();
  const auto expected = run(home(**first, 4, 0, whole), whole, images(4, 4, 3));
  std::vector<std::byte> found;
  std::thread loader([&] {
    ASSERT_TRUE((*other_device)->become_loader_thread().ok());
    auto engine = CudaEngine::create(**other_device, others);
    ASSERT_TRUE(engine.ok()) << engine.error().message();
    for (const auto& file : std::filesystem::recursive_directory_iterator(options.cache_dir)) {
      if (file.path().filename() == "weights") {  // which would give other answers
        const std::string zeros(file.file_size(), '\0');
        std::ofstream(file.path(), std::ios::binary) << zeros;
      }
    }
    auto replica = (*engine)->load(options);
    ASSERT_TRUE(replica.ok()) << replica.error().message();
    first->reset();
    const Slice there = (*other_device)->shape().whole();
    const auto plan = (*replica)->prepare_home(4, {0}, there);
    ASSERT_TRUE(plan.ok()) << plan.error().message();
    TestBatch batch = images(4, 4, 3, false);
    const auto took = (*other_device)->run_borrowed(**plan, there, batch.batch);
    ASSERT_TRUE(took.ok()) << took.error().message();
    found = bytes_of(batch.batch);
    batch = {};
    replica->reset();
    engine->reset();
  });
  loader.join();
  EXPECT_EQ(found, expected);
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
  MemoryBooks before;
  for (int i = 1; i <= loads; ++i) {
    ASSERT_FALSE(load_and_run(i % 2 == 0 ? 4 : 1).empty());
    if (i == kFirstLoads) {
      before = MemoryBooks::of(*device_->gpu());
    }
    if (i % 20 == 0 || i == loads) {
      test_support::figure("after_" + std::to_string(i) + "_loads", MemoryBooks::of(*device_->gpu()).to_json());
    }
  }
  const MemoryBooks after = MemoryBooks::of(*device_->gpu());
  EXPECT_LE(after.card_mb - before.card_mb, kMostLeftMb) << "of the card's memory, after " << loads << " loads";
  EXPECT_LE(after.host_mb - before.host_mb, kMostLeftMb) << "of the host's memory, after " << loads << " loads";
}

}  // namespace
}  // namespace tessera::engine
