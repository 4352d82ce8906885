// Where and in which order any device runs what it is given.
#include <algorithm>
#include <chrono>
#include <set>

#include "tests/contract/device/device_contract.h"

namespace tessera::device::contract {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

::testing::AssertionResult ran_only_in(const Probe& probe, const Slice& slice, std::size_t runs) {
  const auto noted = probe.runs();
  if (noted.size() != runs) {
    return ::testing::AssertionFailure() << noted.size() << " runs instead of " << runs;
  }
  for (const ProbeRun& run : noted) {
    if (run.atoms.empty()) {
      return ::testing::AssertionFailure() << "a run noted no atom";
    }
    for (const std::uint16_t atom : run.atoms) {
      if (!slice.contains(atom)) {
        return ::testing::AssertionFailure()
               << "ran on atom " << atom << ", outside " << slice.first << "+" << slice.count;
      }
    }
  }
  return ::testing::AssertionSuccess();
}

std::uint64_t began(const Job& job) { return job.probe->runs().at(0).began; }
std::uint64_t ended(const Job& job) { return job.probe->runs().at(0).ended; }

TEST_P(DeviceContract, LadderHoldsEveryAtomAndTheWholeDevice) {
  const DeviceShape& shape = device().shape();
  ASSERT_GT(shape.atoms(), 0);
  EXPECT_FALSE(shape.name.empty());
  const std::set<Slice> ladder(shape.ladder.begin(), shape.ladder.end());
  EXPECT_EQ(ladder.size(), shape.ladder.size());
  for (const Slice& slice : ladder) {
    EXPECT_GT(slice.count, 0);
    EXPECT_LE(slice.end(), shape.atoms());
  }
  for (std::uint16_t i = 0; i < shape.atoms(); ++i) {
    EXPECT_TRUE(ladder.contains(atom(i))) << i;
    EXPECT_GT(shape.processors[i], 0);
  }
  EXPECT_TRUE(ladder.contains(whole()));
  EXPECT_GT(shape.loader.count, 0);
  EXPECT_LE(shape.loader.end(), shape.atoms());
}

TEST_P(DeviceContract, ASliceRunsOnItsAtomsOnly) {
  for (const Slice& slice : device().shape().ladder) {
    Probe& alone = probe({.busy = milliseconds(1)});
    Job& job = start(alone, slice);
    ASSERT_TRUE(wait_for(job));
    EXPECT_TRUE(ran_only_in(alone, slice, 1));
    expect_answered(job);
  }
  // All at once, each twice.
  std::vector<std::pair<Probe*, Slice>> crowd;
  for (const Slice& slice : device().shape().ladder) {
    crowd.emplace_back(&probe({.busy = milliseconds(1)}), slice);
    start(*crowd.back().first, slice);
    start(*crowd.back().first, slice);
  }
  ASSERT_TRUE(wait_for_all());
  for (const auto& [probe, slice] : crowd) {
    EXPECT_TRUE(ran_only_in(*probe, slice, 2));
  }
}

TEST_P(DeviceContract, OnOneSliceLaunchesEndInTheOrderGiven) {
  for (const Slice& slice : {atom(0), whole()}) {
    std::vector<Job*> jobs(8);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      jobs[i] = &start(probe({.busy = microseconds(100 * (jobs.size() - i))}), slice);
    }
    ASSERT_TRUE(wait_for_all());
    for (std::size_t i = 1; i < jobs.size(); ++i) {
      EXPECT_LT(ended(*jobs[i - 1]), began(*jobs[i]));
      EXPECT_LE(completion(*jobs[i - 1]).ended, completion(*jobs[i]).started);
    }
  }
  EXPECT_TRUE(std::is_sorted(completion_order_.begin(), completion_order_.end()));
}

TEST_P(DeviceContract, OverlappingSlicesRunOneAfterTheOther) {
  if (atoms() < 2) {
    GTEST_SKIP() << "needs two atoms";
  }
  Gate& hold = gate();
  const Job& first = start(probe({.gate = &hold}), atom(0));
  const Job& across = start(probe({.busy = milliseconds(1)}), whole());
  const Job& last = start(probe(), atom(1));  // atom 1 is idle, but the launch across it was given earlier
  ASSERT_TRUE(wait_until([&] { return hold.reached() == 1; }, "the first runs"));
  settle();
  EXPECT_TRUE(completions_.empty());
  EXPECT_TRUE(across.probe->runs().empty());
  EXPECT_TRUE(last.probe->runs().empty());
  hold.open();
  ASSERT_TRUE(wait_for_all());
  EXPECT_LT(ended(first), began(across));
  EXPECT_LT(ended(across), began(last));
}

TEST_P(DeviceContract, DisjointSlicesRunAtTheSameTime) {
  if (atoms() < 2) {
    GTEST_SKIP() << "needs two atoms";
  }
  Gate& left = gate();
  Gate& right = gate();
  start(probe({.gate = &left}), atom(0));
  start(probe({.gate = &right}), atom(1));
  EXPECT_TRUE(wait_until([&] { return left.reached() == 1 && right.reached() == 1; }, "both run"));
  left.open();
  right.open();
  ASSERT_TRUE(wait_for_all());
}

TEST_P(DeviceContract, ABusySliceHoldsUpNobodyElse) {
  if (atoms() < 2) {
    GTEST_SKIP() << "needs two atoms";
  }
  Gate& hold = gate();
  const Job& busy = start(probe({.gate = &hold}), atom(0));
  const Job& behind = start(probe(), atom(0));
  for (int i = 0; i < 10; ++i) {
    Job& elsewhere = start(probe(), atom(1));
    ASSERT_TRUE(wait_for(elsewhere));
    expect_answered(elsewhere);
  }
  EXPECT_FALSE(done(busy));
  EXPECT_FALSE(done(behind));
  hold.open();
  ASSERT_TRUE(wait_for_all());
}

TEST_P(DeviceContract, LaneOrderWaitsForTheLaneAcrossSlices) {
  if (atoms() < 2) {
    GTEST_SKIP() << "needs two atoms";
  }
  Gate& hold = gate();
  const LaunchOptions lane{.after = After::kLane, .instance = {7}, .lane = {1}};
  const Job& first = start(probe({.gate = &hold}), atom(0), lane);
  const Job& second = start(probe(), atom(1), lane);
  ASSERT_TRUE(wait_until([&] { return hold.reached() == 1; }, "the first runs"));
  settle();
  EXPECT_TRUE(second.probe->runs().empty());
  hold.open();
  ASSERT_TRUE(wait_for_all());
  EXPECT_LT(ended(first), began(second));
}

TEST_P(DeviceContract, LaneOrderIgnoresOtherLanesOnOverlappingSlices) {
  if (atoms() < 2) {
    GTEST_SKIP() << "needs two atoms";
  }
  Gate& hold = gate();
  start(probe({.gate = &hold}), whole(), {.after = After::kLane, .instance = {7}, .lane = {0}});
  start(probe({.gate = &hold}), atom(0), {.after = After::kLane, .instance = {7}, .lane = {1}});
  start(probe({.gate = &hold}), atom(1), {.after = After::kLane, .instance = {8}, .lane = {0}});
  EXPECT_TRUE(wait_until([&] { return hold.reached() == 3; }, "all three run at once"));
  // One that minds its slice waits for every one of them.
  const Job& careful = start(probe(), atom(0), {.instance = {9}});
  settle();
  EXPECT_TRUE(careful.probe->runs().empty());
  hold.open();
  ASSERT_TRUE(wait_for_all());
  for (const Job& job : jobs_) {
    if (&job != &careful && job.slice.overlaps(careful.slice)) {
      EXPECT_LT(ended(job), began(careful));
    }
  }
}

TEST_P(DeviceContract, ALaunchThatTheCallerRunsKeepsToItsSlice) {
  const auto before = under_test().atoms_of_this_thread();
  for (const Slice& slice : device().shape().ladder) {
    Probe& here = probe({.busy = milliseconds(1)});
    Job& job = start(here, slice, {.may_run_here = true});
    ASSERT_TRUE(wait_for(job));
    EXPECT_TRUE(ran_only_in(here, slice, 1));
    expect_answered(job);
    EXPECT_EQ(under_test().atoms_of_this_thread(), before);
  }
}

TEST_P(DeviceContract, ALaunchThatHasToWaitIsNotRunByTheCaller) {
  Gate& hold = gate();
  start(probe({.gate = &hold}), atom(0));
  ASSERT_TRUE(wait_until([&] { return hold.reached() == 1; }, "the first runs"));
  Job& waiting = make_job(probe(), whole(), {.may_run_here = true});
  const auto started = try_start(waiting, {.may_run_here = true});
  ASSERT_TRUE(started.ok());
  EXPECT_EQ(*started, Started::kQueued);
  hold.open();
  ASSERT_TRUE(wait_for_all());
  expect_answered(waiting);
}

}  // namespace
}  // namespace tessera::device::contract
