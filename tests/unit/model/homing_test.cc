// Slices that a model cannot run in, and slices that it need not be run in first.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>

#include "model/live_params.h"
#include "tests/unit/model/fakes.h"

namespace tessera::model {
namespace {

// Eight atoms: the slices that a model may be published with are 7+1, 6+1 and 6+2, in this order.
class RefusedSlicesTest : public LifecycleTest {
 protected:
  RefusedSlicesTest() : LifecycleTest(8) { repository.write("m/1/model.onnx", "batched"); }

  Lines before_publish(const std::string& prefix) {
    Lines found;
    for (const std::string& event : host.journal.events()) {
      if (event == "publish m/1") break;
      if (event.rfind(prefix, 0) == 0) found.push_back(event);
    }
    return found;
  }
  std::size_t others() { return host.device().shape().ladder.size() - engine.habits.refused.size(); }
  void all_others_are_ready() {
    ASSERT_TRUE(host.journal.wait("ready m ", others()));
    for (const Slice& slice : host.device().shape().ladder) {
      EXPECT_EQ(host.journal.count("ready m " + text_of(slice)), engine.habits.refused.contains(slice) ? 0U : 1U)
          << text_of(slice);
    }
  }
};

TEST_F(RefusedSlicesTest, TheNextSmallSliceIsTaken) {
  engine.habits.refused = {{7, 1}};
  begin(ControlMode::kNone);
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_EQ(before_publish("home "), (Lines{"home 1.0@0+8", "home 1.0@6+1"}));
  EXPECT_FALSE(before_publish("run 1 on 6+1").empty()) << "it is measured where it can be";
  all_others_are_ready();
}

TEST_F(RefusedSlicesTest, WithoutASmallSliceTheWholeDeviceIsEnough) {
  engine.habits.refused = {{7, 1}, {6, 1}, {6, 2}};
  begin(ControlMode::kNone);
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_EQ(before_publish("home "), (Lines{"home 1.0@0+8"}));
  EXPECT_EQ(index(), (Lines{"m 1 READY "}));
  all_others_are_ready();
}

TEST_F(RefusedSlicesTest, ARefusalBehindDoesNotEndTheHoming) {
  engine.habits.refused = {{0, 1}, {3, 1}, {4, 4}};
  begin(ControlMode::kNone);
  ASSERT_TRUE(started.ok());
  all_others_are_ready();
}

TEST_F(RefusedSlicesTest, TheWholeDeviceMustBePossible) {
  engine.habits.refused = {{0, 8}};
  begin(ControlMode::kNone);
  EXPECT_EQ(text(started),
            "unsupported: load failed for model 'm': version 1 is at UNAVAILABLE state: no room for a cluster");
  EXPECT_TRUE(host.serving().empty());
}

TEST_F(LifecycleTest, SlicesHomedBehindAreRunOnceUnlessTheyAreWarm) {
  for (const std::string name : {"cold", "warm"}) repository.write(name + "/1/model.onnx", "batched\n" + name);
  engine.on_load = [&](const engine::LoadOptions& load) {
    engine.habits.warm = load.file.string().find("warm") != std::string::npos;
  };
  begin();
  const std::size_t slices = host.device().shape().ladder.size();
  for (const char* name : {"cold", "warm"}) {
    const std::size_t before = host.journal.count("run 1 on 0+1");
    ASSERT_TRUE(load(name).ok());
    ASSERT_TRUE(host.journal.wait(std::string("ready ") + name + " ", slices));
    EXPECT_EQ(host.journal.count("run 1 on 0+1") - before, name == std::string("cold") ? 1U : 0U) << name;
  }
}

// Models that capture: eight rows, so buckets 1, 2, 4 and 8, in two lanes.
class GrowingTest : public RefusedSlicesTest {
 protected:
  GrowingTest() {
    engine.habits.one_plan = false;
    engine.habits.warm = true;
    engine.habits.cheap = true;
    configure("");
  }
  void configure(const std::string& more) { repository.write("m/config.pbtxt", "max_batch_size: 8\n" + more); }
  // Everything that was captured, once the last of it was.
  Lines captures(const std::string& last) {
    EXPECT_TRUE(host.journal.wait(last, 1));
    return host.journal.events("capture ");
  }
};

TEST_F(GrowingTest, TheSmallestBucketIsPublishedAndTheOthersFollowLaneByLane) {
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(before_publish("capture "), (Lines{"capture 1.0"}));
  EXPECT_EQ(captures("plan m 8.1@7+1"), (Lines{"capture 1.0", "capture 1.1", "capture 2.0", "capture 2.1",
                                               "capture 4.0", "capture 4.1", "capture 8.0", "capture 8.1"}));
  EXPECT_EQ(host.journal.count("lane m "), 7U) << "all but the first one beside what serves";
  EXPECT_EQ(host.journal.events("measured "), (Lines{"measured m 2@7+1", "measured m 4@7+1", "measured m 8@7+1"}));
  EXPECT_EQ(host.journal.count("plan m "), 16U) << "in the whole device and a small slice";
  EXPECT_EQ(host.journal.count("ready "), 0U);
  EXPECT_EQ(host.journal.count("end "), 0U);
}

TEST_F(GrowingTest, WhatWasPublishedFirstIsCapturedAgainWhereThereIsAFasterWay) {
  engine.habits.outdated = {"1.0"};
  begin();
  ASSERT_TRUE(load("m").ok());
  ASSERT_TRUE(host.journal.wait("renew 1.0", 1));
  ASSERT_TRUE(host.journal.wait("measured m 1@7+1", 1));
  EXPECT_EQ(host.journal.events("capture ").size(), 8U);
  EXPECT_EQ(host.journal.count("lane m "), 8U) << "nothing may run in the lane meanwhile";
}

TEST_F(GrowingTest, WhereTheFileAloneSaysThatItBatchesTwoRowsShowIt) {
  std::filesystem::remove(repository / "m/config.pbtxt");
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(before_publish("capture "), (Lines{"capture 1.0", "capture 2.0"}));
  EXPECT_GT(host.journal.count("run 2 on "), 0U);
  EXPECT_EQ(captures("plan m 8.1@7+1").size(), 8U);
}

TEST_F(GrowingTest, WhereAnswersKeepTheOrderOfArrivalAllComeFirst) {
  configure("dynamic_batching { preserve_ordering: true }\n");
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(before_publish("capture ").size(), 8U);
  EXPECT_EQ(host.journal.count("lane "), 0U);
  EXPECT_EQ(host.journal.events("ready "), (Lines{"ready m 0+8", "ready m 7+1"}));
}

TEST_F(GrowingTest, ABucketThatCannotBeEndsTheGrowthAndIsSaid) {
  engine.habits.no_capture = {"4.0"};
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(captures("end m no memory for 4.0"), (Lines{"capture 1.0", "capture 1.1", "capture 2.0", "capture 2.1"}));
  EXPECT_EQ(index(), (Lines{"m 1 READY "}));
}

TEST_F(GrowingTest, ALaneThatCannotBeCostsThatLaneOnly) {
  engine.habits.no_capture = {"2.1"};
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(captures("plan m 8.0@7+1"),
            (Lines{"capture 1.0", "capture 1.1", "capture 2.0", "capture 4.0", "capture 8.0"}));
  EXPECT_EQ(host.journal.count("end "), 0U);
}

TEST_F(GrowingTest, AServerThatStopsSaysThatNoMoreComes) {
  begin();
  std::promise<void> stop;
  std::promise<void> stopped;
  std::atomic<int> borrows{0};
  host.on_lane = [&] {
    if (borrows++ == 0) {
      stop.set_value();
      stopped.get_future().wait();
    }
  };
  ASSERT_TRUE(load("m").ok());
  stop.get_future().wait();
  lifecycle->stop_loading();
  stopped.set_value();
  EXPECT_TRUE(host.journal.wait("end m the server is stopping", 1));
  EXPECT_EQ(host.journal.events("capture ").size(), 2U);
}

TEST_F(GrowingTest, ALoadComesBeforeWhatIsStillToGrow) {
  repository.write("other/1/model.onnx", "batched");
  repository.write("other/config.pbtxt", "max_batch_size: 1\n");
  begin();
  std::promise<void> growing;
  std::promise<void> asked;
  std::atomic<int> lanes{0};
  host.on_lane = [&] {
    if (lanes++ == 0) {
      growing.set_value();
      asked.get_future().wait();
    }
  };
  ASSERT_TRUE(load("m").ok());
  growing.get_future().wait();
  std::promise<Status> loaded;
  lifecycle->load({"other", std::nullopt, {}}, [&](Status status) { loaded.set_value(std::move(status)); });
  asked.set_value();
  ASSERT_TRUE(loaded.get_future().get().ok());
  const auto events = host.journal.events();
  const auto published = std::find(events.begin(), events.end(), "publish other/1");
  EXPECT_EQ(
      std::count_if(events.begin(), published, [](const std::string& event) { return event.rfind("lane m ", 0) == 0; }),
      1);
  EXPECT_TRUE(host.journal.wait("plan m 8.1@7+1", 1));
}

TEST_F(GrowingTest, WhatIsUnloadedGrowsNoMore) {
  begin();
  ASSERT_TRUE(load("m").ok());
  ASSERT_TRUE(unload("m").ok());
  const std::size_t captured = host.journal.count("capture ");
  repository.write("n/1/model.onnx", "broken");
  EXPECT_FALSE(load("n").ok());
  EXPECT_EQ(host.journal.count("capture "), captured);
}

// Models whose capture is refused. The loader slice is 6+2, so what is beside it are 0+1, 0+2, 0+4 and 0+6.
class UncapturableTest : public GrowingTest {
 protected:
  UncapturableTest() { engine.habits.uncapturable = true; }
  void with_slo(const std::string& ms) {
    configure("parameters { key: \"slo_ms\" value { string_value: \"" + ms + "\" } }\n");
  }
  Lines homes_in(const std::string& slice) {
    return {"home 1.0@" + slice, "home 2.0@" + slice, "home 4.0@" + slice, "home 8.0@" + slice};
  }
};

TEST_F(UncapturableTest, RunsInOneSliceAndOneLaneAsLargeAsTheLoaders) {
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(before_publish("home "), homes_in("0+2"));
  EXPECT_EQ(host.journal.events("ready "), (Lines{"ready m 0+2"}));
  EXPECT_EQ(host.journal.count("capture ") + host.journal.count("plan "), 0U);
  const auto instance = host.serving("m");
  EXPECT_EQ(instance->config.params.lanes, 1);
  EXPECT_FALSE(instance->grows);
  EXPECT_EQ(instance->config.uncaptured, "its run asks the host");
  const auto shown = config_json(*config_with(instance->config, instance->config.params));
  EXPECT_NE(shown.find(R"("uncaptured":{"string_value":"its run asks the host"})"), std::string::npos) << shown;
  EXPECT_TRUE(load("m").ok());
  EXPECT_EQ(host.journal.count("publish "), 1U) << "nothing has changed";
}

// A row takes 1 ms on one atom, and a request may have to wait for one run.
TEST_F(UncapturableTest, TakesTheSmallestSliceThatLeavesTimeForItsObjective) {
  begin();
  const std::vector<std::pair<std::string, std::string>> expected{
      {"2.1", "0+1"}, {"1.9", "0+2"}, {"0.6", "0+4"}, {"0.4", "0+6"}, {"0.1", "0+6"}};
  for (const auto& [slo, slice] : expected) {
    with_slo(slo);
    ASSERT_TRUE(load("m").ok()) << slo;
    EXPECT_EQ(host.journal.events("ready ").back(), "ready m " + slice) << slo;
  }
  EXPECT_LE(host.journal.count("load "), 3 * expected.size()) << "sizes that cannot be are left out";
}

TEST_F(UncapturableTest, WhereItsLatencyIsUnknownTheUsualSizeIsTaken) {
  repository.write("m/1/model.onnx", "free");
  with_slo("5");
  host.device().run = [](const Slice& /*slice*/, Batch& /*batch*/) { return invalid_argument("not these sizes"); };
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.journal.events("ready "), (Lines{"ready m 0+2"}));
}

TEST_F(UncapturableTest, WhatStopsTheFallbackIsTheError) {
  engine.on_load = [&](const engine::LoadOptions& load) {
    if (load.uncaptured_in) engine.room->store(0);
  };
  begin();
  const std::string said = text(load("m"));
  EXPECT_EQ(said.rfind("out of memory: load failed for model 'm': version 1 is at UNAVAILABLE state: it cannot be "
                       "captured (its run asks the host), nor run without: no memory left",
                       0),
            0U)
      << said;
  EXPECT_TRUE(host.serving().empty());
}

}  // namespace
}  // namespace tessera::model
