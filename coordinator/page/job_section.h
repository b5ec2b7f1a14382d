#ifndef LORY_COORDINATOR_PAGE_JOB_SECTION_H_
#define LORY_COORDINATOR_PAGE_JOB_SECTION_H_

#include <string>

#include "coordinator/page/status_page.h"

namespace lory::coordinator::page {

// One job's part of the page: state, progress, perplexity, experts, members,
// what happened last.
std::string RenderJob(const lory::v1::Job& job, const StatusPageData& data);

}  // namespace lory::coordinator::page

#endif  // LORY_COORDINATOR_PAGE_JOB_SECTION_H_
