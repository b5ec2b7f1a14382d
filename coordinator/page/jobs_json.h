#ifndef LORY_COORDINATOR_PAGE_JOBS_JSON_H_
#define LORY_COORDINATOR_PAGE_JOBS_JSON_H_

#include <string>

#include "coordinator/page/status_page.h"

namespace lory::coordinator::page {

// What the status page shows, as JSON in the layout of the API. Pure.
std::string RenderJobsJson(const StatusPageData& data);

}  // namespace lory::coordinator::page

#endif  // LORY_COORDINATOR_PAGE_JOBS_JSON_H_
