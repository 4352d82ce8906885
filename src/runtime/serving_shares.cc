// What models reserve of a device, weighed against what there is of it.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <numeric>
#include <string>

#include "runtime/serving.h"

namespace tessera::runtime {
namespace {

constexpr double kRounding = 1e-9;  // of shares that are added up

std::string share_text(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", share);
  return text.data();
}

}  // namespace

// Those of a model that is being loaded are those it will have.
Status Serving::fits(const std::string& model, double share) const {
  std::map<std::string, double> shares;
  for (const auto& served : table_.all()) {
    shares[served->instance->name] += served->counters->params().reserved_share;
  }
  const bool is_claimed = claim_ && claim_->first == model;
  if (claim_) {  // a load may fail, and what serves until then goes on
    double& claimed = shares[claim_->first];
    claimed = is_claimed ? claim_->second : std::max(claimed, claim_->second);
  }
  double& own = shares[model];
  own = is_claimed ? std::max(claim_->second, share) : share;
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0,
                                     [](double so_far, const auto& one) { return so_far + one.second; });
  if (own == 0 || sum <= 1 + kRounding) {
    return ok_status();
  }
  std::string named;
  for (const auto& [name, part] : shares) {
    if (part > 0) {
      named += (named.empty() ? "'" : ", '") + name + "' " + share_text(part);
    }
  }
  return invalid_argument("reserved_share: the models on device '" + device_->shape().name + "' would reserve " +
                          share_text(sum) + " of it, more than 1: " + named);
}

// Where it is known on other devices, what they changed while it served is adopted as soon as it serves here.
Status Serving::claim_share(const std::string& model, double share, bool as_served) {
  if (as_served && routes_ != nullptr) {
    share = routes_->reserved_elsewhere(number_, model).value_or(share);
  }
  const auto lock = lock_shares();
  TESSERA_RETURN_IF_ERROR(fits(model, share));
  claim_.emplace(model, share);
  return ok_status();
}

void Serving::end_claim() {
  const auto lock = lock_shares();
  claim_.reset();
}

}  // namespace tessera::runtime
