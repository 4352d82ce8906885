// Which bytes go to a card next, and when they are predicted to be there.
#include "sched/copy_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "tests/support/virtual_world.h"

namespace tessera::sched {
namespace {

using namespace std::chrono_literals;
using testing::at;

constexpr std::uint64_t kKb = 1024;
constexpr std::uint64_t kMb = 1024 * kKb;

bool add(CopyQueue& queue, std::uint64_t request, Duration deadline, InputRange range) {
  return queue.add({request}, at(deadline), std::vector{range});
}

std::vector<std::uint64_t> requests_of(const PlannedCopy& copy) {
  std::vector<std::uint64_t> requests;
  for (const auto& part : copy.parts) {
    requests.push_back(part.request.value);
  }
  std::sort(requests.begin(), requests.end());
  return requests;
}

TEST(CopyQueue, TheEarliestDeadlineGoesFirstAndAmongEqualsTheFirstCome) {
  CopyQueue queue({.outstanding = 4, .most = 4});
  add(queue, 1, 30ms, {0, 100 * kKb});
  add(queue, 2, 10ms, {10 * kMb, 100 * kKb});
  add(queue, 3, 20ms, {20 * kMb, 100 * kKb});
  add(queue, 4, 10ms, {30 * kMb, 100 * kKb});
  std::vector<std::uint64_t> order;
  while (const PlannedCopy* copy = queue.next(at(0ms))) {
    order.push_back(copy->parts.at(0).request.value);
  }
  EXPECT_EQ(order, (std::vector<std::uint64_t>{2, 4, 3, 1}));
}

TEST(CopyQueue, WhoHasLittleIsDueBeforeWhoUploadsMuch) {
  constexpr std::uint64_t kSmall = 150 * kKb;
  constexpr std::uint64_t kLarge = 64 * kMb;
  EXPECT_EQ(copy_due(at(5ms), at(1ms), kLarge), at(5ms)) << "deadlines are met as they are";
  EXPECT_LT(copy_due(kNever, at(50ms), kSmall), copy_due(kNever, at(0ms), kLarge));
  EXPECT_LT(copy_due(at(2s), at(10ms), kSmall), copy_due(kNever, at(0ms), kLarge)) << "a lax one";
  EXPECT_LT(copy_due(at(50ms), at(0ms), kSmall), copy_due(kNever, at(1ms), kSmall)) << "who has an objective";
  EXPECT_GT(copy_due(kNever, at(200ms), kSmall), copy_due(kNever, at(0ms), kLarge)) << "it does not wait for ever";
}

TEST(CopyQueue, NoMoreAreOutstandingThanMayBe) {
  CopyQueue queue({.outstanding = 2});
  for (std::uint64_t i = 0; i < 3; ++i) {
    add(queue, i + 1, 1ms, {i * 10 * kMb, 100 * kKb});
  }
  const PlannedCopy* first = queue.next(at(0ms));
  ASSERT_NE(first, nullptr);
  ASSERT_NE(queue.next(at(0ms)), nullptr);
  EXPECT_EQ(queue.next(at(0ms)), nullptr);
  queue.ended(first->id, at(1ms));
  EXPECT_NE(queue.next(at(1ms)), nullptr);
}

TEST(CopyQueue, MoreAreOutstandingWhileTheyAreBrief) {
  const auto issued = [](std::uint64_t bytes) {
    CopyQueue queue({.outstanding = 2, .most = 4});
    for (std::uint64_t i = 0; i < 6; ++i) {
      add(queue, i + 1, 1ms, {i * 10 * kMb, bytes});
    }
    while (queue.next(at(0ms)) != nullptr) {
    }
    return queue.outstanding();
  };
  EXPECT_EQ(issued(100 * kKb), 4U);
  EXPECT_EQ(issued(602'112), 3U) << "two of them are under 1.5 MB, three are not";
  EXPECT_EQ(issued(kMb), 2U);
}

TEST(CopyQueue, NeighboursTravelAsOneCopyUpToItsLargestSize) {
  CopyQueue queue({.outstanding = 8, .most = 8});
  // Five of 600 KB side by side, the most urgent in the middle: three fit into a copy.
  for (std::uint64_t i = 0; i < 5; ++i) {
    add(queue, i + 1, i == 2 ? 1ms : 9ms, {i * 600 * kKb, 600 * kKb});
  }
  const PlannedCopy* joined = queue.next(at(0ms));
  EXPECT_EQ(requests_of(*joined), (std::vector<std::uint64_t>{3, 4, 5}));
  EXPECT_EQ(joined->range.at, 2 * 600 * kKb);
  EXPECT_EQ(joined->range.bytes, 3 * 600 * kKb);
  const PlannedCopy* rest = queue.next(at(0ms));
  EXPECT_EQ(requests_of(*rest), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(rest->range.at, 0U);
}

TEST(CopyQueue, SmallGapsAreCarriedAlongLargeOnesAreNot) {
  CopyQueue queue({.outstanding = 8, .most = 8});
  add(queue, 1, 1ms, {0, 100 * kKb});
  add(queue, 2, 2ms, {100 * kKb + 32 * kKb, 100 * kKb});
  add(queue, 3, 3ms, {232 * kKb + 32 * kKb + 1, 100 * kKb});
  const PlannedCopy* joined = queue.next(at(0ms));
  EXPECT_EQ(requests_of(*joined), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(joined->range.bytes, 232 * kKb);
  EXPECT_EQ(requests_of(*queue.next(at(0ms))), (std::vector<std::uint64_t>{3}));
}

TEST(CopyQueue, ARequestIsCompleteWithItsLastRange) {
  CopyQueue queue({.outstanding = 8, .most = 8});
  ASSERT_TRUE(queue.add({1}, at(1ms), std::vector<InputRange>{{0, 100 * kKb}, {5 * kMb, 3 * kMb}}));
  add(queue, 2, 9ms, {50 * kMb, 100 * kKb});
  std::vector<bool> last;
  for (int i = 0; i < 7; ++i) {  // 100 KB, then 3 MB in six pieces
    const PlannedCopy* copy = queue.next(at(0ms));
    ASSERT_EQ(copy->parts.at(0).request.value, 1U) << i;
    last.push_back(copy->parts.at(0).last);
  }
  EXPECT_EQ(last, (std::vector<bool>{false, false, false, false, false, false, true}));
}

TEST(CopyQueue, ALargeBodyGoesInLargerPiecesWhileNothingElseWaits) {
  CopyQueue queue({});
  add(queue, 1, kForever, {0, 64 * kMb});
  EXPECT_EQ(queue.next(at(0ms))->range.bytes, 2 * kMb);
  add(queue, 2, kForever, {100 * kMb, 64 * kMb});
  EXPECT_EQ(queue.next(at(0ms))->range.bytes, 512 * kKb);
}

TEST(CopyQueue, AnUrgentRequestWaitsForOutstandingPiecesAtMost) {
  CopyQueue queue({});
  add(queue, 1, 1s, {0, 64 * kMb});
  const CopyId first = queue.next(at(0ms))->id;
  const CopyId second = queue.next(at(0ms))->id;
  add(queue, 2, 5ms, {100 * kMb, 150 * kKb});
  EXPECT_EQ(queue.next(at(0ms)), nullptr);
  queue.ended(first, at(1ms));
  const PlannedCopy* urgent = queue.next(at(1ms));
  EXPECT_EQ(requests_of(*urgent), (std::vector<std::uint64_t>{2}));
  EXPECT_TRUE(urgent->parts[0].last);
  queue.ended(second, at(2ms));
  EXPECT_EQ(requests_of(*queue.next(at(2ms))), (std::vector<std::uint64_t>{1}));
}

TEST(CopyQueue, WhatWasNotIssuedIsForgotten) {
  CopyQueue queue({});
  add(queue, 1, 1ms, {0, 64 * kMb});
  add(queue, 2, 2ms, {100 * kMb, 150 * kKb});
  const CopyId first = queue.next(at(0ms))->id;
  queue.forget({1});
  queue.forget({1});
  EXPECT_EQ(queue.waiting(), 1U);
  EXPECT_EQ(requests_of(*queue.next(at(0ms))), (std::vector<std::uint64_t>{2}));
  queue.ended(first, at(1ms));
  EXPECT_EQ(queue.next(at(1ms)), nullptr);
  EXPECT_EQ(queue.waiting(), 0U);
}

TEST(CopyQueue, IsBounded) {
  CopyQueue queue({.max_waiting = 2});
  EXPECT_TRUE(add(queue, 1, 1ms, {0, kMb}));
  EXPECT_TRUE(add(queue, 2, 1ms, {10 * kMb, kMb}));
  EXPECT_FALSE(add(queue, 3, 1ms, {20 * kMb, kMb}));
  queue.forget({2});
  EXPECT_TRUE(add(queue, 3, 1ms, {20 * kMb, kMb}));
}

TEST(CopyQueue, ACopyThatNeverBeganMakesRoomAndTeachesNothing) {
  CopyQueue queue({.outstanding = 1, .most = 1});
  add(queue, 1, 1ms, {0, kMb});
  add(queue, 2, 1ms, {10 * kMb, kMb});
  const Duration before = queue.times().of(kMb);
  queue.dropped(queue.next(at(0ms))->id);
  EXPECT_NE(queue.next(at(10s)), nullptr);
  EXPECT_EQ(queue.times().of(kMb), before);
}

TEST(CopyQueue, LearnsTheLinkFromTheEndsItSees) {
  // 25 GB/s and 20 us, half and more than twice what it begins with.
  const auto truth = [](std::uint64_t bytes) { return 20us + Duration(static_cast<Duration::rep>(bytes / 25)); };
  CopyQueue queue({});
  TimePoint now = at(1s);
  for (std::uint64_t i = 1; i <= 300; ++i) {
    const std::uint64_t bytes = i % 2 == 0 ? 150 * kKb : 600 * kKb;
    add(queue, i, 1s, {i * 10 * kMb, bytes});
    const PlannedCopy* copy = queue.next(now);
    now += truth(bytes);
    queue.ended(copy->id, now);
  }
  for (const std::uint64_t bytes : {150 * kKb, 600 * kKb, 2 * kMb}) {
    const auto wrong = std::chrono::abs(queue.times().of(bytes) - truth(bytes));
    EXPECT_LT(wrong, truth(bytes) / 10) << bytes;
  }
  // The second of two follows the first.
  add(queue, 1001, 1s, {0, kMb});
  add(queue, 1002, 2s, {10 * kMb, kMb});
  const TimePoint first = queue.next(now)->predicted_end;
  EXPECT_EQ(first, now + queue.times().of(kMb));
  EXPECT_EQ(queue.next(now)->predicted_end, first + queue.times().of(kMb));
}

// Random requests, cancellations and ends. Every byte that was not given up is carried exactly once, in order of
// deadlines, and nobody waits behind more than what was outstanding when he came.
class RandomCopies {
 public:
  explicit RandomCopies(std::uint64_t seed) : random_(seed) {}

  void live() {
    for (int step = 0; step < 1500; ++step) {
      now_ += std::chrono::microseconds(pick(30));
      switch (pick(5)) {
        case 0:
        case 1:
          arrive();
          break;
        case 2:
          give_up();
          break;
        default:
          end_one();
      }
      issue();
    }
    while (!issued_.empty()) {
      end_one();
      issue();
    }
    EXPECT_EQ(queue_.waiting(), 0U);
    EXPECT_EQ(queue_.outstanding(), 0U);
    for (const auto& [id, request] : requests_) {
      EXPECT_TRUE(request.complete || request.forgotten) << "request " << id;
    }
  }

 private:
  struct Request {
    TimePoint deadline{};
    std::vector<InputRange> left;
    bool complete = false;
    bool forgotten = false;
  };

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  void arrive() {
    Request request;
    request.deadline = now_ + std::chrono::microseconds(pick(4) == 0 ? 100 : pick(20'000));
    for (std::uint64_t i = 0, n = 1 + pick(2); i < n; ++i) {
      const std::uint64_t bytes = pick(10) == 0 ? 3 * kMb + pick(30 * kMb) : 33 * kKb + pick(900 * kKb);
      request.left.push_back({place_, bytes});
      if (bytes > 2 * kMb) {
        large_ends_.insert(place_ + bytes);
      }
      place_ += bytes + (pick(2) == 0 ? pick(33 * kKb) : pick(kMb));
    }
    const std::uint64_t id = ++last_;
    ASSERT_TRUE(queue_.add({id}, request.deadline, request.left));
    requests_[id] = std::move(request);
  }

  void give_up() {
    if (last_ != 0) {
      const std::uint64_t id = 1 + pick(last_);
      queue_.forget({id});
      requests_[id].forgotten = true;
    }
  }

  void end_one() {
    if (!issued_.empty()) {
      now_ += std::chrono::microseconds(1 + pick(40));
      queue_.ended(issued_.front(), now_);
      issued_.erase(issued_.begin());
      bytes_.erase(bytes_.begin());
    }
  }

  void issue() {
    while (const PlannedCopy* copy = queue_.next(now_)) {
      issued_.push_back(copy->id);
      bytes_.push_back(copy->range.bytes);
      ASSERT_LE(issued_.size(), 4U);
      ASSERT_LE(std::accumulate(bytes_.begin(), bytes_.end(), std::uint64_t{0}), 4 * kMb) << "as two of the largest";
      ASSERT_LE(copy->range.bytes, 2 * kMb);
      ASSERT_GE(copy->predicted_end, now_);
      check_most_urgent(*copy);
      for (const auto& part : copy->parts) {
        carry(*copy, part);
      }
    }
  }

  bool waits(const Request& request) const { return !request.forgotten && !request.complete && !request.left.empty(); }

  void check_most_urgent(const PlannedCopy& copy) {
    TimePoint earliest = kNever;
    std::size_t ranges = 0;
    bool large = false;
    for (const auto& [id, request] : requests_) {
      if (!waits(request)) {
        continue;
      }
      earliest = std::min(earliest, request.deadline);
      ranges += request.left.size();
      for (const InputRange& range : request.left) {
        large = large || (range.at == copy.range.at && large_ends_.contains(range.at + range.bytes));
      }
    }
    TimePoint carried = kNever;
    for (const auto& part : copy.parts) {
      carried = std::min(carried, requests_.at(part.request.value).deadline);
    }
    EXPECT_EQ(carried, earliest);
    if (large && ranges > 1) {
      EXPECT_LE(copy.range.bytes, 512 * kKb) << "a large piece while others wait";
    }
  }

  // Takes out of the request's ranges what the copy carries.
  void carry(const PlannedCopy& copy, const PlannedCopy::Part& part) {
    Request& request = requests_.at(part.request.value);
    ASSERT_FALSE(request.forgotten);
    ASSERT_FALSE(request.complete);
    const std::uint64_t end = copy.range.at + copy.range.bytes;
    bool any = false;
    for (InputRange& range : request.left) {
      if (range.at >= copy.range.at && range.at < end) {
        const std::uint64_t bytes = std::min(range.bytes, end - range.at);
        range = {range.at + bytes, range.bytes - bytes};
        any = true;
      }
    }
    std::erase_if(request.left, [](const InputRange& range) { return range.bytes == 0; });
    EXPECT_TRUE(any) << "a part without bytes";
    EXPECT_EQ(part.last, request.left.empty());
    request.complete = part.last;
  }

  std::mt19937_64 random_;
  CopyQueue queue_{{.most = 4}};
  TimePoint now_ = at(1s);
  std::uint64_t last_ = 0;
  std::uint64_t place_ = 0;
  std::map<std::uint64_t, Request> requests_;
  std::set<std::uint64_t> large_ends_;
  std::vector<CopyId> issued_;
  std::vector<std::uint64_t> bytes_;  // of these
};

TEST(CopyQueue, RandomLives) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomCopies(seed).live();
    if (HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace tessera::sched
