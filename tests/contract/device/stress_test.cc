// Random launches and cancellations on any device; every rule is checked over everything that happened.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/contract/device/device_contract.h"

namespace tessera::device::contract {
namespace {

// A failing run prints its seed; the same seed again: TESSERA_TEST_SEED=n.
std::uint64_t choose_seed() {
  const char* given = std::getenv("TESSERA_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

bool waits_for(const Job& later, const Job& earlier) {
  return later.after == After::kLane ? later.instance == earlier.instance && later.lane == earlier.lane
                                     : later.slice.overlaps(earlier.slice);
}

TEST_P(DeviceContract, RandomLaunchesKeepAllRules) {
  constexpr int kLaunches = 1500;
  constexpr int kMostInFlight = 24;
  const std::uint64_t seed = choose_seed();
  SCOPED_TRACE(testing::Message() << "TESSERA_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  const auto& ladder = device().shape().ladder;
  for (int i = 0; i < kLaunches; ++i) {
    const auto choice = random() % 100;
    Probe& work = probe(
        {.busy = std::chrono::microseconds(random() % 100), .outcome = choice < 5 ? Outcome::kFail : Outcome::kOk});
    const LaunchOptions options{.after = random() % 4 == 0 ? After::kLane : After::kOverlap,
                                .instance = {1 + static_cast<std::uint32_t>(random() % 3)},
                                .lane = {static_cast<std::uint16_t>(random() % 2)},
                                .may_run_here = random() % 3 == 0};
    start(work, ladder[random() % ladder.size()], options);
    if (random() % 16 == 0) {
      // Runs end, and lie unretired before those that wait for them.
      under_test().let_time_pass();
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    if (random() % 8 == 0) {
      device().cancel(LaunchId{last_id_ - random() % std::min<std::uint64_t>(last_id_, 8)});
    }
    if (random() % 6 == 0) {
      pump();
    }
    if (last_id_ - completions_.size() >= kMostInFlight) {
      ASSERT_TRUE(wait_until([&] { return last_id_ - completions_.size() <= kMostInFlight / 2; }, "room for the next"));
    }
  }
  ASSERT_TRUE(wait_for_all());
  settle();
  EXPECT_EQ(completions_.size(), static_cast<std::size_t>(kLaunches));
  EXPECT_TRUE(downs_.empty());

  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    const Job& job = jobs_[i];
    const auto runs = job.probe->runs();
    ASSERT_EQ(runs.size(), completion(job).ran ? 1U : 0U) << job.id.value;
    for (const auto& run : runs) {
      for (const std::uint16_t atom : run.atoms) {
        ASSERT_TRUE(job.slice.contains(atom)) << job.id.value;
      }
    }
    if (succeeded(job)) {
      expect_answered(job);
    } else {
      ASSERT_TRUE(has_code(job, ErrorCode::kInternal) || has_code(job, ErrorCode::kCancelled)) << job.id.value;
    }
    for (std::size_t j = 0; j < i && !runs.empty(); ++j) {
      const auto earlier = jobs_[j].probe->runs();
      if (!earlier.empty() && waits_for(job, jobs_[j])) {
        ASSERT_LT(earlier[0].ended, runs[0].began) << job.id.value << " after " << jobs_[j].id.value;
      }
    }
  }
}

}  // namespace
}  // namespace tessera::device::contract
