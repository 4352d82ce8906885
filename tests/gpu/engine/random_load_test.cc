// Slices that change at every batch, under load: no answer may differ by a bit from that of the whole card.
//
// TESSERA_GPU_LAUNCHES: how many (10,000). TESSERA_GPU_MODELS: a repository as bench/models.py makes it; its models
// named by TESSERA_GPU_NETS (resnet50,mobilenet_v2) are then tested, too.
#include <atomic>
#include <chrono>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/gpu/settings.h"
#include "tests/support/figure.h"

namespace tessera::engine {
namespace {

using test_support::setting;

class RandomLoadTest : public CudaEngineTest {
 protected:
  static constexpr std::uint16_t kLanes = 2;

  void TearDown() override {
    nets_.clear();
    models_.clear();
    CudaEngineTest::TearDown();
  }

  std::uint64_t launches() const { return std::stoull(setting("TESSERA_GPU_LAUNCHES", "10000")); }

  void add(LoadedModel& model) {
    nets_.push_back(std::make_unique<Net>(*device_, model, InstanceId{static_cast<std::uint32_t>(nets_.size() + 1)}));
  }
  void home_all(Net& net, std::int32_t bucket) {
    for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
      net.home(bucket, lane, shape().ladder);
      ASSERT_FALSE(net.homes(bucket, lane).empty());
    }
    net.learn(bucket);
  }
  void expect_same_bits(const std::string& what, const std::vector<std::int32_t>& buckets) {
    std::vector<RandomLoad::Seat> seats;
    int moved = 0;
    for (const auto& net : nets_) {
      for (const std::int32_t bucket : buckets) {
        home_all(*net, bucket);
        moved += net->rows_that_depend_on_their_place(bucket);
      }
      for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
        seats.push_back({net.get(), lane, buckets});
      }
    }
    const TimePoint begin = now();
    const auto seed = std::random_device{}();
    RandomLoad load(*device_, completions_, seats, seed);
    const auto outcome = load.run([this](const auto& so_far) { return so_far.launches < launches(); });
    const double seconds = std::chrono::duration<double>(now() - begin).count();
    test_support::figure(what, "{\"launches\":" + std::to_string(outcome.launches) +
                                   ",\"slice_changes\":" + std::to_string(outcome.slice_changes) +
                                   ",\"wrong\":" + std::to_string(outcome.wrong) +
                                   ",\"rows_that_depend_on_their_place\":" + std::to_string(moved) +
                                   ",\"seconds\":" + std::to_string(seconds) + "}");
    EXPECT_EQ(outcome.wrong, 0U) << "of " << outcome.launches << ", seed " << seed;
    EXPECT_EQ(moved, 0) << "rows' answers depend on their place in a batch";
  }

  std::vector<std::unique_ptr<LoadedModel>> models_;
  std::vector<std::unique_ptr<Net>> nets_;
};

TEST_F(RandomLoadTest, EveryAnswerIsThatOfTheWholeCard) {
  for (const std::uint32_t seed : {7U, 8U}) {
    models_.push_back(load(image_model(seed)));
    ASSERT_NE(models_.back(), nullptr);
    add(*models_.back());
  }
  expect_same_bits("random_slices_small_nets", {1, 2, 4});
}

// One row's outputs are written by the plan's last kernel; those of more leave by a copy engine, while the next batch
// runs.
TEST_F(RandomLoadTest, EveryLargeAnswerIsThatOfTheWholeCard) {
  models_.push_back(load(map_model()));
  models_.push_back(load(image_model()));
  for (const auto& model : models_) {
    ASSERT_NE(model, nullptr);
    add(*model);
  }
  expect_same_bits("random_slices_large_outputs", {1, 2, 4});
}

TEST_F(RandomLoadTest, EveryAnswerOfRealModelsIsThatOfTheWholeCard) {
  const std::filesystem::path repository = setting("TESSERA_GPU_MODELS", "");
  if (repository.empty()) {
    GTEST_SKIP() << "TESSERA_GPU_MODELS names no repository";
  }
  std::istringstream names(setting("TESSERA_GPU_NETS", "resnet50,mobilenet_v2"));
  for (std::string name; std::getline(names, name, ',');) {
    LoadOptions options;
    options.file = repository / name / "1" / "model.onnx";
    options.max_batch_size = 4;
    auto loaded = engine_->load(options);
    ASSERT_TRUE(loaded.ok()) << name << ": " << loaded.error().message();
    models_.push_back(*std::move(loaded));
    add(*models_.back());
  }
  expect_same_bits("random_slices_real_models", {1, 4});
}

// A lane that serves is not captured in; all others' plans go on meanwhile.
TEST_F(RandomLoadTest, CapturingABucketLeavesReplaysAlone) {
  for (const std::uint32_t seed : {7U, 8U}) {
    models_.push_back(load(image_model(seed), 8));
    ASSERT_NE(models_.back(), nullptr);
    add(*models_.back());
    home_all(*nets_.back(), 1);
  }
  std::atomic<bool> stop{false};
  RandomLoad::Outcome beside;
  std::thread dispatcher([&] {
    RandomLoad load(*device_, completions_,
                    {{nets_[0].get(), 0, {1}}, {nets_[1].get(), 0, {1}}, {nets_[1].get(), 1, {1}}}, 5);
    beside = load.run([&](const auto&) { return !stop.load(); });
  });
  const TimePoint begin = now();
  for (const std::int32_t bucket : {2, 4, 8}) {
    for (const Slice& slice : full_slices()) {
      EXPECT_NE(home(nets_[0]->model(), bucket, 1, slice), nullptr);
    }
  }
  const double seconds = std::chrono::duration<double>(now() - begin).count();
  stop.store(true);
  dispatcher.join();
  test_support::figure("capturing_beside_replays", "{\"replays\":" + std::to_string(beside.launches) +
                                                       ",\"wrong\":" + std::to_string(beside.wrong) +
                                                       ",\"seconds\":" + std::to_string(seconds) + "}");
  EXPECT_GT(beside.launches, 100U);
  EXPECT_EQ(beside.wrong, 0U);
  for (const std::int32_t bucket : {2, 4, 8}) {
    home_all(*nets_[0], bucket);
  }
  RandomLoad after(*device_, completions_, {{nets_[0].get(), 1, {1, 2, 4, 8}}, {nets_[1].get(), 0, {1}}}, 6,
                   1ULL << 40);
  EXPECT_EQ(after.run([](const auto& so_far) { return so_far.launches < 1000; }).wrong, 0U);
}

}  // namespace
}  // namespace tessera::engine
