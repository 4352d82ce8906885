// A file of profiles that was written reads back as the same.
#include "sim/profiles.h"

#include <gtest/gtest.h>

#include "sched/efficacy.h"

namespace tessera::sim {
namespace {

using namespace std::chrono_literals;

TEST(Profiles, OthersStandInForWhatWasNotMeasured) {
  DeviceProfile device;
  device.shape.name = "card";
  device.models["small"].points = {{1, 8, 100us}, {4, 8, 200us}};
  device.models["known"].points = {{1, 8, 7us}};
  loadgen::Workload workload;
  workload.stand_ins["large"] = {"small", 2.5};
  workload.stand_ins["known"] = {"small", 9};  // it has latencies of its own
  ASSERT_TRUE(device.stand_in(workload).ok());
  ASSERT_TRUE(device.model("large").ok());
  EXPECT_EQ((*device.model("large"))->points[1].latency, 500us);
  EXPECT_EQ((*device.model("known"))->points[0].latency, 7us);
  workload.stand_ins["larger"] = {"unknown", 1};
  const Status status = device.stand_in(workload);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message().find("larger"), std::string::npos);
  EXPECT_NE(status.error().message().find("no profile of model 'unknown'"), std::string::npos);
}

TEST(Profiles, WhatIsWrittenReadsBackAsTheSame) {
  DeviceProfile device;
  device.shape.processors = {8, 8, 8, 12};
  device.shape.committed_per_atom = 1;
  device.traits.noise = 0.013;
  device.traits.jitter = 70us;
  device.memory = Bytes{76'000'000'000};
  device.models["plain"].points = {{1, 8, 2336'900ns}, {1, 36, 528us}, {4, 8, 10ms}, {4, 36, 1100us}};
  device.models["plain"].memory = Bytes{398'500'000};
  device.models["a \"quoted\" name"].points = {{1, 36, 5us}};
  device.models["a \"quoted\" name"].neighbour = 0.25;
  const std::string text = profiles_json({"mine", "a card", "tessera profile ...", "2026-01-31", "a note"}, device);
  const auto read = parse_profiles(text, "written");
  ASSERT_TRUE(read.ok()) << read.error().message() << "\n" << text;
  const DeviceProfile& again = read->at("mine");
  EXPECT_EQ(again.shape.processors, device.shape.processors);
  EXPECT_EQ(again.shape.committed_per_atom, 1);
  EXPECT_EQ(again.traits.noise, 0.013);
  EXPECT_EQ(again.traits.jitter, 70us);
  EXPECT_EQ(again.memory, device.memory);
  ASSERT_EQ(again.models.size(), 2U);
  for (const auto& [name, model] : device.models) {
    const ModelProfile& same = again.models.at(name);
    EXPECT_EQ(same.memory, model.memory);
    EXPECT_EQ(same.neighbour, model.neighbour);
    ASSERT_EQ(same.points.size(), model.points.size());
    for (std::size_t i = 0; i < model.points.size(); ++i) {
      EXPECT_EQ(same.points[i].bucket, model.points[i].bucket);
      EXPECT_EQ(same.points[i].processors, model.points[i].processors);
      EXPECT_EQ(same.points[i].latency, model.points[i].latency);
    }
  }
  EXPECT_TRUE(parse_profiles(profiles_json({"mine", "a card", "s", "2026-01-31", ""}, device), "written").ok());
}

// 4 rows in 10 ms on 2 processors: 4 / (0.01^2 * 2).
TEST(Efficacy, IsWhatThePaperSays) {
  EXPECT_DOUBLE_EQ(sched::efficacy(4, 10ms, 2), 20'000);
  EXPECT_GT(sched::efficacy(4, 10ms, 1), sched::efficacy(4, 10ms, 2));
  EXPECT_GT(sched::efficacy(1, 0ms, 1), 0);
}

TEST(Efficacy, TheKneeKeepsItsObjectiveTwiceOverAndWhileItFills) {
  EXPECT_TRUE((sched::KneeLimits{}.keeps(1e6, 1h)));
  EXPECT_TRUE((sched::KneeLimits{20ms}.keeps(8, 10ms)));
  EXPECT_FALSE((sched::KneeLimits{20ms}.keeps(8, 10001us)));
  EXPECT_TRUE((sched::KneeLimits{20ms, 800}.keeps(8, 10ms)));   // 7 / 800 s + 10 ms
  EXPECT_FALSE((sched::KneeLimits{20ms, 600}.keeps(8, 10ms)));  // 11.7 + 10 ms
}

}  // namespace
}  // namespace tessera::sim
