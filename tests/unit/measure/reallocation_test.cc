// Two small models that always have batches waiting, on the host device: that every launch is noted once, and that the
// arms differ as they are to.
#include "measure/reallocation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "device/host/host_device.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "measure/rows.h"
#include "tests/support/onnx_writer.h"

namespace tessera::measure {
namespace {

class ReallocationTest : public testing::Test {
 protected:
  ReallocationTest() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-gaps-XXXXXX").string();
    TESSERA_CHECK(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    std::filesystem::create_directories(folder_ / "small" / "1");
    test_support::add_sub_model(true).save(folder_ / "small" / "1" / "model.onnx");
    device_ = device::make_host_device({}).value();
    engine_ = engine::OnnxEngine::create(device::HostTopology::of().value()).value();
    options_.models = folder_;
    options_.mix = {"small", "small"};
    options_.batches = {2};
    options_.seconds = 0.1;
    options_.warm_seconds = 0;
    options_.rounds = 2;
    options_.lanes = 2;
  }
  ~ReallocationTest() override { std::filesystem::remove_all(folder_); }

  Result<Reallocation> measure() {
    return reallocate({"host", "a host", *device_, *engine_}, options_, "test",
                      [this](const Reallocation&) { ++told_; });
  }

  std::filesystem::path folder_;
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<engine::OnnxEngine> engine_;
  ReallocationOptions options_;
  int told_ = 0;
};

TEST_F(ReallocationTest, EveryLaunchIsNotedOnceUnderEveryArm) {
  const auto result = measure();
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->tenants, (std::vector<std::string>{"small", "small_2"}));
  EXPECT_FALSE(result->by_card);
  ASSERT_EQ(result->cells.size(), 3U);
  EXPECT_EQ(told_, 6);
  for (const ReallocationCell& cell : result->cells) {
    ASSERT_EQ(cell.rounds.size(), 2U) << cell.arm;
    for (const ReallocationRound& round : cell.rounds) {
      EXPECT_GT(round.gaps.launches, 0U) << cell.arm;
      EXPECT_GE(round.launches, round.gaps.launches) << cell.arm;
      EXPECT_EQ(round.lost, 0U) << cell.arm;
      EXPECT_EQ(round.unanswered, 0U) << cell.arm;
      EXPECT_EQ(round.gaps.untimed, 0U) << cell.arm;
      EXPECT_LE(round.gaps.busy + round.gaps.between + round.gaps.waiting, 1.05) << cell.arm;
      if (cell.arm == "changing" && device_->shape().atoms() > 2) {  // of two, all sizes but one are the same
        EXPECT_GT(round.gaps.changed_us.count, 0U);
      }
      if (cell.arm == "atoms") {
        EXPECT_EQ(round.gaps.changed_us.count, 0U) << "single atoms never change";
        EXPECT_GT(round.gaps.same_us.count, 0U);
      }
    }
  }
  EXPECT_NE(json(*result).find(R"("arm":"changing","batch":2,"rounds":2)"), std::string::npos);
  Scores scores;
  score(*result, scores);
  for (const auto& each : scores.all()) {
    if (each.row->id == "realloc_lost") {
      EXPECT_TRUE(each.met()) << each.note;
    } else if (each.row->id == "realloc_share" || each.row->id == "seen_p50_us") {
      EXPECT_FALSE(each.figure.has_value()) << "a host tells no card's time";
    }
  }
}

TEST_F(ReallocationTest, UnknownArmsAndModelsAreNamed) {
  options_.arms = {"fancy"};
  EXPECT_NE(measure().error().message().find("'fancy'"), std::string::npos);
  options_.arms = {"atoms"};
  options_.mix = {"absent"};
  EXPECT_NE(measure().error().message().find("'absent'"), std::string::npos);
}

// What a card would have told.
TEST(ReallocationScoreTest, TheArmsThatShareAreScoredForGapsAndTheFullOneForEnds) {
  const auto round = [](double between, double changed, double told) {
    ReallocationRound out;
    out.gaps.between = between;
    out.gaps.changed_us = {.count = 100, .p50 = changed, .p99 = 2 * changed};
    out.gaps.told_us = {.count = 100, .p50 = told, .p99 = 3 * told};
    return out;
  };
  Reallocation result;
  result.by_card = true;
  result.cells = {{"changing", 8, {round(0.01, 5, 50), round(0.02, 6, 50), round(0.03, 7, 50)}},
                  {"tessera", 8, {round(0.04, 4, 50)}},
                  {"atoms", 8, {round(0.9, 90, 2)}}};
  Scores scores;
  score(result, scores);
  const auto figure = [&](const std::string& id) {
    for (const auto& each : scores.all()) {
      if (each.row->id == id) {
        return each.figure.value_or(-1);
      }
    }
    return -1.0;
  };
  EXPECT_DOUBLE_EQ(figure("realloc_share"), 0.04) << "the worse arm";
  EXPECT_DOUBLE_EQ(figure("realloc_p50_us"), 6) << "the median of rounds, of the worse arm";
  EXPECT_DOUBLE_EQ(figure("realloc_p99_us"), 12);
  EXPECT_DOUBLE_EQ(figure("realloc_lost"), 0);
  EXPECT_DOUBLE_EQ(figure("seen_p50_us"), 2);
  EXPECT_DOUBLE_EQ(figure("seen_p99_us"), 6);
  result.cells[0].rounds[1].lost = 3;
  Scores again;
  score(result, again);
  for (const auto& each : again.all()) {
    if (each.row->id == "realloc_lost") {
      EXPECT_DOUBLE_EQ(*each.figure, 3);
    }
  }
}

}  // namespace
}  // namespace tessera::measure
