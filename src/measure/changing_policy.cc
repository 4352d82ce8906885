#include "measure/changing_policy.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "sched/batching.h"
#include "sched/view.h"

namespace tessera::measure {
namespace {

// Owned by the scheduler.
class Changing final : public sched::Policy {
 public:
  explicit Changing(std::vector<std::uint16_t> sizes) : sizes_(std::move(sizes)) {}

  std::string_view name() const override { return "changing"; }
  bool uses_all_slices() const override { return true; }

  void decide(const sched::View& view, TimePoint now, sched::Decisions& out) override {
    order_.clear();
    for (const sched::ShapeQueue* queue : view.active) {
      if (queue->instance().any_free_lane() && sched::leads_its_instance(*queue)) {
        order_.emplace_back(served_[queue->instance().id], queue->instance().id, queue);
      }
    }
    std::sort(order_.begin(), order_.end());
    for (const auto& [served, instance, queue] : order_) {
      if (launch(view, *queue, now, out)) {
        return;
      }
    }
  }

 private:
  bool launch(const sched::View& view, const sched::ShapeQueue& queue, TimePoint now, sched::Decisions& out) {
    const sched::Taken batch = sched::take(queue, queue.instance().max_rows());
    for (std::size_t turn = 0; turn < sizes_.size(); ++turn) {
      const std::uint16_t size = sizes_[(next_ + turn) % sizes_.size()];
      if (auto decision = in_slice_of(view, queue, batch, size, now)) {
        next_ = (next_ + turn + 1) % sizes_.size();
        ++served_[queue.instance().id];
        out.launches.push_back(*decision);
        return true;
      }
    }
    return false;
  }

  std::optional<sched::BatchDecision> in_slice_of(const sched::View& view, const sched::ShapeQueue& queue,
                                                  sched::Taken batch, std::uint16_t size, TimePoint now) {
    slices_.clear();
    for (std::size_t index = 0; index < view.device.slices().size(); ++index) {
      const auto& state = view.device.slice(index);
      if (state.slice.count == size && view.device.open(index)) {
        slices_.emplace_back(state.depth, view.device.start_on(index, now), index);
      }
    }
    std::sort(slices_.begin(), slices_.end());
    for (const auto& [depth, start, index] : slices_) {
      if (auto decision = sched::as_decision(view, queue, batch, index)) {
        return decision;
      }
    }
    return std::nullopt;
  }

  const std::vector<std::uint16_t> sizes_;
  std::size_t next_ = 0;
  std::map<InstanceId, std::uint64_t> served_;  // batches
  std::vector<std::tuple<std::uint64_t, InstanceId, const sched::ShapeQueue*>> order_;
  std::vector<std::tuple<std::uint16_t, TimePoint, std::size_t>> slices_;
};

}  // namespace

std::unique_ptr<sched::Policy> make_changing_policy(std::vector<std::uint16_t> sizes) {
  return std::make_unique<Changing>(std::move(sizes));
}

}  // namespace tessera::measure
