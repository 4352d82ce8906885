// Batch sizes that are built with timed choices of the engine's options, and plans that are replaced by faster ones,
// while others run: every answer is that of the whole card, before and after.
#include <array>
#include <atomic>
#include <thread>

#include "engine/onnxruntime/cuda/cuda_model.h"
#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/gpu/settings.h"
#include "tests/support/figure.h"

namespace tessera::engine {
namespace {

constexpr std::uint16_t kLanes = 2;

class TuningTest : public CudaEngineTest {
 protected:
  using Seats = std::vector<RandomLoad::Seat>;

  void TearDown() override {
    neighbour_.reset();
    tuned_.reset();
    models_.clear();
    CudaEngineTest::TearDown();
  }

  std::unique_ptr<Net> net(std::unique_ptr<LoadedModel> model, const std::vector<std::int32_t>& buckets) {
    models_.push_back(std::move(model));
    auto made =
        std::make_unique<Net>(*device_, *models_.back(), InstanceId{static_cast<std::uint32_t>(models_.size())});
    for (const std::int32_t bucket : buckets) {
      home_all(*made, bucket);
    }
    return made;
  }
  // Where plans of all options fit: one is replaced only if the other fits wherever it is homed.
  void home_all(Net& net, std::int32_t bucket) const {
    for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
      net.home(bucket, lane, full_slices());
    }
    net.learn(bucket);
  }
  // A lane without batch sizes to run has no seat.
  static void seat(Seats& seats, Net& net, std::uint16_t lane, const std::vector<std::int32_t>& buckets) {
    if (!buckets.empty()) {
      seats.push_back({&net, lane, buckets});
    }
  }

  // Does what a loader does, while those seats are kept busy by another thread.
  template <typename Step>
  void beside(const Seats& seats, const Step& step) {
    std::atomic<bool> stop{false};
    std::atomic<bool> begun{false};
    RandomLoad::Outcome outcome;
    std::thread dispatcher([&] {
      const std::uint32_t seed = ++seed_;
      RandomLoad load(*device_, completions_, seats, seed, std::uint64_t{seed} << 32U);
      outcome = load.run([&](const auto& so_far) {
        begun.store(so_far.launches > 10);
        return !stop.load();
      });
    });
    while (!begun.load()) {
      std::this_thread::yield();
    }
    step();
    stop.store(true);
    dispatcher.join();
    launches_ += outcome.launches;
    wrong_ += outcome.wrong;
  }

  // `published`: sizes that serve from the start, in both lanes. Those are built anew and their plans replaced; `later`
  // ones are built and captured beside them. Of the last published one another replica knows options that it was not
  // published with, so that its plans are replaced whatever is faster on this card.
  void run(const std::string& what, std::unique_ptr<LoadedModel> model, const std::vector<std::int32_t>& published,
           const std::vector<std::int32_t>& later) {
    auto& tuned = dynamic_cast<CudaModel&>(*model);
    tuned_ = net(std::move(model), published);
    neighbour_ = net(load(image_model(9)), {1, 2});
    const std::int32_t told = published.back();
    tuned.tuned().keep(tuned.tuning_key(told), {.timed_search = false});  // what suits every model and is not tried
    Seats all;
    for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
      seat(all, *neighbour_, lane, {1, 2});
      seat(all, *tuned_, lane, published);
    }
    std::vector<std::int32_t> wanted = published;
    wanted.insert(wanted.end(), later.begin(), later.end());
    for (const std::int32_t bucket : wanted) {
      beside(all, [&] { EXPECT_TRUE(tuned.build(bucket).ok()) << bucket; });
    }
    EXPECT_TRUE(tuned.outdated(told, {0})) << "what another replica found out is not taken";
    int replaced = 0;
    for (const std::int32_t bucket : published) {
      replaced += replace(tuned, bucket, published);
    }
    for (const std::int32_t bucket : later) {
      for (const std::uint16_t lane : {1, 0}) {
        Seats others;
        seat(others, *tuned_, 1 - lane, published);
        seat(others, *neighbour_, 0, {1, 2});
        seat(others, *neighbour_, 1, {1, 2});
        beside(others, [&] { capture_and_home(tuned, bucket, lane); });
      }
    }
    for (const std::int32_t bucket : later) {
      home_all(*tuned_, bucket);
    }
    const std::uint64_t after = serve_all(wanted);
    test_support::figure(what, "{\"replays_beside\":" + std::to_string(launches_) +
                                   ",\"after\":" + std::to_string(after) + ",\"wrong\":" + std::to_string(wrong_) +
                                   ",\"plans_replaced\":" + std::to_string(replaced) + ",\"options\":{" +
                                   options_of(tuned, wanted) + "}}");
    EXPECT_GE(replaced, kLanes);
    EXPECT_GT(launches_, 100U);
    EXPECT_EQ(wrong_, 0U);
  }

 private:
  static std::string options_of(const CudaModel& model, const std::vector<std::int32_t>& buckets) {
    std::string out;
    for (const std::int32_t bucket : buckets) {
      const auto choice = model.tuned().of(model.tuning_key(bucket));
      out += (out.empty() ? "\"" : ",\"") + std::to_string(bucket) + "\":\"" + (choice ? choice->name() : "") + "\"";
    }
    return out;
  }
  // Both lanes, one after the other; meanwhile that size runs nowhere, since lanes may differ.
  int replace(CudaModel& model, std::int32_t bucket, const std::vector<std::int32_t>& published) {
    std::vector<std::int32_t> others = published;
    std::erase(others, bucket);
    int replaced = 0;
    for (const std::uint16_t lane : {1, 0}) {
      const bool outdated = model.outdated(bucket, {lane});
      Seats seats;
      seat(seats, *tuned_, 1 - lane, others);
      seat(seats, *neighbour_, 0, {1, 2});
      seat(seats, *neighbour_, 1, {1, 2});
      beside(seats, [&] {
        const Status captured = model.capture(bucket, {lane});
        EXPECT_TRUE(captured.ok()) << bucket << ": " << captured.error().message();
      });
      replaced += outdated && !model.outdated(bucket, {lane}) ? 1 : 0;
    }
    tuned_->learn(bucket);
    return replaced;
  }
  void capture_and_home(CudaModel& model, std::int32_t bucket, std::uint16_t lane) const {
    const Status captured = model.capture(bucket, {lane});
    ASSERT_TRUE(captured.ok()) << captured.error().message();
    for (const Slice& slice : full_slices()) {
      const auto homed = model.home(bucket, {lane}, slice);
      EXPECT_TRUE(homed.ok() || homed.error().code() == ErrorCode::kUnsupported) << homed.error().message();
    }
  }
  std::uint64_t serve_all(const std::vector<std::int32_t>& wanted) {
    Seats seats;
    for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
      seat(seats, *tuned_, lane, wanted);
      seat(seats, *neighbour_, lane, {1, 2});
    }
    const std::uint32_t seed = ++seed_;
    RandomLoad load(*device_, completions_, seats, seed, std::uint64_t{seed} << 32U);
    const auto outcome = load.run([](const auto& so_far) { return so_far.launches < 2000; });
    wrong_ += outcome.wrong;
    return outcome.launches;
  }

  std::vector<std::unique_ptr<LoadedModel>> models_;
  std::unique_ptr<Net> tuned_;
  std::unique_ptr<Net> neighbour_;
  std::uint32_t seed_ = 1;
  std::uint64_t launches_ = 0;
  std::uint64_t wrong_ = 0;
};

TEST_F(TuningTest, BuiltAndReplacedBesideReplays) {
  auto model = load(image_model(), 8);
  ASSERT_NE(model, nullptr);
  run("tuning_beside_replays", std::move(model), {1, 2}, {4, 8});
}

TEST_F(TuningTest, ARealModelIsBuiltAndReplacedBesideReplays) {
  const auto file = test_support::real_model("resnet50");
  if (!file) {
    GTEST_SKIP() << "TESSERA_GPU_MODELS names no repository with resnet50";
  }
  LoadOptions options;
  options.file = *file;
  options.max_batch_size = 8;
  auto loaded = engine_->load(options);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  run("tuning_resnet50_beside_replays", *std::move(loaded), {1, 4}, {8});
}

}  // namespace
}  // namespace tessera::engine
