// What stdin may ask `tessera load --trials` for, and which runs a recording tells of.
#include "apps/load_trials.h"

#include <gtest/gtest.h>

#include <string>

#include "apps/load_slices.h"
#include "sched/journal.h"

namespace tessera::apps {
namespace {

using namespace std::chrono_literals;

TEST(Trials, AreThreeNumbersAndPerhapsAPolicy) {
  const auto plain = parse_trial("500.5 10 7");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->rate, 500.5);
  EXPECT_EQ(plain->seconds, 10);
  EXPECT_EQ(plain->seed, 7U);
  EXPECT_EQ(plain->policy, "");
  EXPECT_EQ(parse_trial("1 0.5 1 temporal:triton=1")->policy, "temporal:triton=1");
  EXPECT_EQ(parse_trial("alone 8")->alone, 8);
  EXPECT_EQ(parse_trial("alone 16 streams")->policy, "streams");
  for (const char* wrong : {"", "alone", "alone 0", "alone x", "alone 1 temporal more", "1", "1 1", "1 1 x", "0 1 1",
                            "1e9 1 1", "1 0.01 1", "1 1e7 1", "1 1 1 nobody", "1 1 1 temporal more", "-1 1 1"}) {
    EXPECT_FALSE(parse_trial(wrong).ok()) << wrong;
  }
}

std::string journal_of_two_devices() {
  std::string out(sched::kJournalHead);
  for (std::uint16_t device = 0; device < 2; ++device) {
    sched::JournalDevice begins;
    begins.number = device;
    begins.policy = "temporal";
    begins.shape.processors = {8, 8};
    begins.shape.ladder = aligned_ladder(2);
    sched::write_device(begins, out);
    auto params = std::make_shared<sched::ModelParams>();
    params->name = device == 0 ? "one" : "two";
    sched::ModelUp up;
    up.instance = {1};
    up.params = params;
    sched::write_step(device, TimePoint(1s), up, {}, out);
    sched::StartLaunch launch;
    launch.launch = {5};
    launch.instance = {1};
    launch.rows = 3;
    launch.slice = {1, 1};
    sched::write_step(device, TimePoint(2s), sched::TimerFired{}, {launch}, out);
  }
  sched::LaunchEnded ended;
  ended.launch = {5};
  ended.started = TimePoint(2100ms);
  ended.ended = TimePoint(2200ms);
  sched::write_step(1, TimePoint(2201ms), ended, {}, out);
  ended.ran = false;
  sched::write_step(0, TimePoint(2201ms), ended, {}, out);
  return out;
}

TEST(SliceRuns, AreThoseThatRan) {
  const std::string journal = journal_of_two_devices();
  const auto found = slice_runs(journal);
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->atoms, 4);
  ASSERT_EQ(found->runs.size(), 1U);
  const loadgen::SliceRun& run = found->runs.front();
  EXPECT_EQ(found->models.at(run.model), "two");
  EXPECT_EQ(run.first_atom, 3);  // behind the two atoms of the first device
  EXPECT_EQ(run.atoms, 1);
  EXPECT_EQ(run.rows, 3);
  EXPECT_EQ(run.end - run.begin, 100ms);
  // The file may end anywhere.
  EXPECT_TRUE(slice_runs(std::string_view(journal).substr(0, journal.size() - 3)).ok());
  EXPECT_FALSE(slice_runs("no journal").ok());
}

}  // namespace
}  // namespace tessera::apps
