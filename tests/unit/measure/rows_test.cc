#include "measure/rows.h"

#include <gtest/gtest.h>

#include <set>

namespace tessera::measure {
namespace {

Scores::Score score_of(const Scores& scores, std::string_view id) {
  for (const auto& score : scores.all()) {
    if (score.row->id == id) {
      return score;
    }
  }
  ADD_FAILURE() << "no row " << id;
  return {};
}

TEST(RowsTest, IdsAreUnique) {
  std::set<std::string> ids;
  for (const Row& row : rows()) {
    EXPECT_TRUE(ids.insert(row.id).second) << row.id;
  }
}

TEST(RowsTest, TheWorstFigureCounts) {
  Scores scores;
  scores.add("homed_ratio", 1.01, "a");
  scores.add("homed_ratio", 1.03, "b");
  scores.add("homed_ratio", 1.00, "c");
  EXPECT_DOUBLE_EQ(*score_of(scores, "homed_ratio").figure, 1.03);
  EXPECT_EQ(score_of(scores, "homed_ratio").note, "b");
  EXPECT_FALSE(score_of(scores, "homed_ratio").met());
  scores.add("share_b1_temporal", 2.0);
  scores.add("share_b1_temporal", 1.9);
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_b1_temporal").figure, 1.9);
  EXPECT_TRUE(score_of(scores, "share_b1_temporal").met());
}

// The median of repetitions counts, but where the row says the worst; the range and all values are told.
TEST(RowsTest, OfRepetitionsTheMedianCounts) {
  Scores scores;
  scores.add("loading_p99", {1.0, 1.3, 1.04}, "a");
  scores.add("loading_p99", {1.03, 1.03, 1.03}, "b");
  scores.add("loading_worst_ms", {0.2, 1.5, 0.3}, "c");
  scores.add("first_answer", std::vector<double>{}, "nothing came");
  const auto p99 = score_of(scores, "loading_p99");
  EXPECT_DOUBLE_EQ(*p99.figure, 1.04);
  EXPECT_TRUE(p99.met());
  EXPECT_EQ(p99.note, "a");
  EXPECT_DOUBLE_EQ(*score_of(scores, "loading_worst_ms").figure, 1.5);
  EXPECT_FALSE(score_of(scores, "loading_worst_ms").met());
  EXPECT_FALSE(score_of(scores, "first_answer").figure.has_value());
  EXPECT_NE(scores.table().find("1.000 to 1.300"), std::string::npos);
  EXPECT_NE(scores.json().find(R"("min":1,"max":1.3,"repetitions":3,"subjects":[)"), std::string::npos);
  EXPECT_NE(scores.json().find(R"("values":[1,1.3,1.04]})"), std::string::npos);
}

TEST(RowsTest, ModelsThatAreRefusedEverywhereAreNamedWithTheCause) {
  const auto cell = [](const char* model, const char* refused) {
    return HomedCell{.model = model,
                     .batch = 1,
                     .slice = {0, 1},
                     .homed_ms = 1,
                     .native_ms = 1,
                     .same_bits = true,
                     .refused = refused};
  };
  Scores scores;
  score_refused({cell("a", ""), cell("a", "not in this slice"), cell("b", "asks the host"), cell("b", "asks the host")},
                "c is not there", scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "homed_refused").figure, 1);
  EXPECT_EQ(score_of(scores, "homed_refused").note, "b: asks the host; c is not there");
}

TEST(RowsTest, WhatIsNotMeasuredIsNotMet) {
  Scores scores;
  scores.not_measured("loading_p99", "no models");
  EXPECT_FALSE(score_of(scores, "loading_p99").met());
  EXPECT_NE(scores.table().find("no models"), std::string::npos);
  EXPECT_NE(scores.json().find("\"verdict\":\"not measured\""), std::string::npos);
}

TEST(RowsTest, ArmsOfOneRoundAreCompared) {
  measure::Run run;
  run.cells = {{"temporal", 1, {{{100, 1, 1}}, {{200, 1, 1}}, {{100, 1, 1}}}},
               {"tessera", 1, {{{200, 1, 1}}, {{300, 1, 1}}, {{190, 1, 1}}}},
               {"fixed", 1, {{{100, 2, 3}}}}};
  Scores scores;
  score(run, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_b1_temporal").figure, 1.9);
  EXPECT_FALSE(score_of(scores, "share_b1_streams").figure.has_value());
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_even").figure, 1.5);
}

TEST(RowsTest, ArmsAreComparedWithBareLaunchesAndTheDispatcherWithItsTime) {
  measure::Run run;
  run.cells = {{"temporal",
                1,
                {{{100, 1, 1}}, {{110, 1, 1}}, {{90, 1, 1}}},
                {0.9, 0.9, 0.9},
                {{{125, 1, 1}}, {{110, 1, 1}}, {{120, 1, 1}}}},
               {"streams", 1, {{{100, 1, 1}}}, {0.9}},
               {"tessera", 1, {{{100, 1, 1}}, {{100, 1, 1}}, {{100, 1, 1}}}, {0.2, 0.4, 0.3}},
               {"tessera", 8, {{{100, 1, 1}}}, {0.6}}};
  Scores scores;
  score(run, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_of_bare").figure, 0.8);
  EXPECT_EQ(score_of(scores, "share_of_bare").note, "temporal, batches of 1");
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_dispatcher_busy").figure, 0.3);
  EXPECT_EQ(bare_for(run, run.cells[0]), run.cells.data());
  EXPECT_EQ(bare_for(run, run.cells[1]), nullptr);
}

TEST(RowsTest, TheUnevennessOfBareLaunchesStandsBesideThatOfTheServedOnes) {
  measure::Run run;
  run.cells = {{"fixed", 4, {{{100, 2, 2.2}}, {{100, 2, 2.6}}, {{100, 2, 2.4}}}, {}, {{{100, 2, 2.5}}}},
               {"tessera", 4, {{{100, 2, 3}}}}};
  Scores scores;
  score(run, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_even").figure, 1.2);
  EXPECT_EQ(score_of(scores, "share_even").note, "fixed, batches of 4; bare launches 1.250; tessera 1.500");
  EXPECT_EQ(bare_for(run, run.cells[1]), run.cells.data()) << "the policy tessera has no launches of its own";
}

TEST(RowsTest, AnUncapturedNeighbourIsComparedWithNobodyAndWithACapturedOne) {
  const auto times = [](double p50, double p99) { return LoopTimes{100, 1, p50, p99, p99}; };
  const Beside alone{{"a", "b"}, {times(1, 1), times(1, 2)}, {times(1, 1.2), times(1, 2.2)}};
  const Beside captured{
      {"a", "b", "own"}, {times(1, 1.1), times(1, 2), times(4, 4)}, {times(1, 1.2), times(1, 2.2), times(6, 7)}};
  Scores scores;
  score_fallback({alone}, {captured}, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "fallback_p99").figure, 1.2);
  EXPECT_EQ(score_of(scores, "fallback_p99").note,
            "against beside it captured 1.100 x; it itself takes 1.50 x as long");
}

TEST(RowsTest, PlansThatDifferAreCounted) {
  HomedCell same{
      .model = "m", .batch = 1, .slice = {0, 1}, .homed_ms = 1, .native_ms = 1, .same_bits = true, .refused = {}};
  HomedCell other = same;
  other.same_bits = false;
  HomedCell refused = same;
  refused.refused = "no";
  Scores scores;
  score(std::vector<HomedCell>{same, other, refused}, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "homed_other_bits").figure, 1);
  EXPECT_FALSE(score_of(scores, "homed_other_bits").met());
}

TEST(RowsTest, DevicesTogetherAreComparedWithTheMeanOfEachAlone) {
  measure::Run run;
  const auto cell = [](std::vector<std::size_t> parts, std::vector<double> rates) {
    measure::Cell made{.policy = "tessera", .rows = 8, .rounds = {}, .parts = std::move(parts)};
    for (const double rate : rates) {
      made.rounds.push_back({{rate, 1, 1}});
    }
    return made;
  };
  run.cells = {cell({0}, {100, 110, 100}), cell({1}, {120, 110, 100}), cell({0, 1}, {220, 209, 196})};
  Scores scores;
  score_pair(run, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "pair_images").figure, 1.96);  // of 2.0, 1.9, 1.96
  score(run, scores);
  EXPECT_FALSE(score_of(scores, "share_even").figure.has_value());
}

TEST(RowsTest, AReplicaIsComparedWithTheFirstLoadOfTheSameRound) {
  Replica result{
      .model = "m", .first = {{10, 20, 1}, {12, 20, 1}, {10, 90, 1}}, .replica = {{1, 15, 1}, {1, 14, 1}, {0, 17, 1}}};
  Scores scores;
  score_replica(result, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "pair_replica").figure, 16.0 / 33.0);
}

}  // namespace
}  // namespace tessera::measure
