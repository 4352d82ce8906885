// Slices that a model cannot run in, and slices that it need not be run in first.
#include <gtest/gtest.h>

#include "tests/unit/model/fakes.h"

namespace tessera::model {
namespace {

using Lines = std::vector<std::string>;

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

// Eight rows: buckets 1, 2, 4, 8, two lanes.
TEST_F(RefusedSlicesTest, WhereHomesAreCheapNothingIsHomedBehindThePublication) {
  engine.habits = {.one_plan = false, .warm = true, .cheap = true, .refused = {}};
  begin();
  ASSERT_TRUE(load("m").ok());
  EXPECT_EQ(host.journal.events("ready "), (Lines{"ready m 0+8", "ready m 7+1"}));
  EXPECT_EQ(host.journal.count("capture "), 8U);
  const std::size_t homes = host.journal.count("home ");
  EXPECT_EQ(homes, 16U);
  repository.write("other/1/model.onnx", "batched");
  ASSERT_TRUE(load("other").ok());  // the loader had nothing else to do before
  EXPECT_EQ(host.journal.count("home "), 2 * homes);
}

}  // namespace
}  // namespace tessera::model
