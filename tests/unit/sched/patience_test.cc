// How long a request may wait, by objective, timeouts and priorities.
#include "sched/patience.h"

#include <gtest/gtest.h>

namespace tessera::sched {
namespace {

using std::chrono::milliseconds;

ModelParams with_policy(SloPolicy policy) {
  ModelParams params;
  params.slo = milliseconds(50);
  params.slo_policy = policy;
  return params;
}

TEST(Patience, ThePriorityOfARequestPicksItsQueuePolicy) {
  ModelParams params;
  params.priority_levels = 2;
  params.default_priority = 2;
  params.queue_policies[2].default_timeout = milliseconds(7);
  EXPECT_EQ(level_of(params, 0), 2U);
  EXPECT_EQ(level_of(params, 1), 1U);
  EXPECT_EQ(level_of(params, 3), 2U) << "there is no such level";
  EXPECT_EQ(policy_of(params, 2).default_timeout, milliseconds(7));
  EXPECT_EQ(policy_of(params, 1).default_timeout, kForever);
}

TEST(Patience, TheEarliestEndsTheWait) {
  const ModelParams rejects = with_policy(SloPolicy::kReject);
  QueuePolicy policy;
  Patience patience = patience_of(rejects, policy, std::nullopt);
  EXPECT_EQ(patience.deadline, milliseconds(50));
  EXPECT_EQ(patience.ends, milliseconds(50));
  EXPECT_TRUE(patience.ends_by_objective);
  patience = patience_of(rejects, policy, milliseconds(20));
  EXPECT_EQ(patience.deadline, milliseconds(20));
  EXPECT_EQ(patience.ends, milliseconds(20));
  EXPECT_FALSE(patience.ends_by_objective);
  policy.default_timeout = milliseconds(10);
  EXPECT_EQ(patience_of(rejects, policy, milliseconds(20)).ends, milliseconds(10));
  policy.timeout_action = TimeoutAction::kDelay;
  EXPECT_EQ(patience_of(rejects, policy, milliseconds(20)).ends, milliseconds(20)) << "it delays, and ends nothing";
}

TEST(Patience, ABestEffortIsOnlyEndedByATimeout) {
  const Patience patience = patience_of(with_policy(SloPolicy::kBestEffort), {}, milliseconds(80));
  EXPECT_EQ(patience.deadline, milliseconds(50));
  EXPECT_EQ(patience.ends, milliseconds(80));
  EXPECT_FALSE(patience.ends_by_objective);
}

}  // namespace
}  // namespace tessera::sched
